/*
 * Split folders as people name them. A name is cut into words and numbers; one word must name a split, and every other
 * must say nothing of the content: train2017 and ILSVRC2012_img_train are splits, train_station and test_rig are not.
 */
#include "engine/data/sets/layout.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *word;
    layout_split split;
} split_words[] = {
    {"train", LAYOUT_TRAIN},    {"training", LAYOUT_TRAIN}, {"trainset", LAYOUT_TRAIN}, {"test", LAYOUT_TEST},
    {"testing", LAYOUT_TEST},   {"testset", LAYOUT_TEST},   {"val", LAYOUT_VAL},        {"valid", LAYOUT_VAL},
    {"validation", LAYOUT_VAL}, {"valset", LAYOUT_VAL},     {"dev", LAYOUT_VAL},
};
static const char *const neutral_words[] = {"set", "split",   "img",    "imgs",     "image",  "images", "data",
                                            "seg", "dataset", "ilsvrc", "imagenet", "folder", "x"};

static bool is_word(const char *at, size_t length, const char *word) {
    return strlen(word) == length && strncasecmp(at, word, length) == 0;
}

layout_split layout_split_of(const char *name, size_t length) {
    layout_split found = LAYOUT_NONE;
    for (const char *at = name, *end = name + length; at < end;) {
        size_t n = 0;
        while (at + n < end && isalpha((unsigned char)at[n])) n++;
        if (n == 0) { /* digits and what stands between words; letters of other scripts are words */
            if ((unsigned char)*at >= 0x80) return LAYOUT_NONE;
            at++;
            continue;
        }
        layout_split word = LAYOUT_NONE;
        bool neutral = false;
        for (size_t i = 0; i < sizeof split_words / sizeof *split_words; i++)
            if (is_word(at, n, split_words[i].word)) word = split_words[i].split;
        for (size_t i = 0; i < sizeof neutral_words / sizeof *neutral_words; i++)
            neutral |= is_word(at, n, neutral_words[i]);
        if ((word == LAYOUT_NONE && !neutral) || (word != LAYOUT_NONE && found != LAYOUT_NONE)) return LAYOUT_NONE;
        if (word != LAYOUT_NONE) found = word;
        at += n;
    }
    return found;
}
