# mews: see `make help`. Objects go to build/<kind>/; a kind is a set of flags (release, sanitize, double, …).

CC       ?= cc
KIND     ?= release
BUILD    := build/$(KIND)

# Debian keeps several OpenBLAS builds side by side; the OpenMP one shares its threads with everything else here.
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
BLAS_DIR  := /usr/lib/$(MULTIARCH)/openblas-openmp
PACKAGES  := yaml-0.1 jansson libjpeg libpng libarchive

CFLAGS_release  := -O3 -march=native
CFLAGS_sanitize := -O1 -g -march=native -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_double   := -O2 -march=native -DMEWS_DOUBLE
CFLAGS ?= $(CFLAGS_$(KIND))
WARN   := -Wall -Wextra -Wpedantic -Werror
# Contraction is pinned so that a compiler's whim does not decide a bit; no -ffast-math anywhere.
override CFLAGS += -std=c17 -D_GNU_SOURCE $(WARN) -fopenmp -fno-math-errno -fno-trapping-math -ffp-contract=fast -g
CPPFLAGS += -I. -I/usr/include/$(MULTIARCH)/openblas-openmp $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
LDFLAGS  += -L$(BLAS_DIR) -Wl,--disable-new-dtags,-rpath,$(BLAS_DIR)
LDLIBS   := -ldnnl -lopenblas -llapacke $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lm -lpthread

SOURCES  := $(sort $(wildcard engine/*.c engine/*/*.c methods/*.c analysis/*.c) \
                   $(filter-out experiments/main.c,$(wildcard experiments/*.c)))
OBJECTS  := $(SOURCES:%.c=$(BUILD)/%.o)
TESTS    := $(sort $(wildcard tests/*/test_*.c))
TEST_OBJECTS := $(TESTS:%.c=$(BUILD)/%.o) $(BUILD)/tests/main.o

all: $(BUILD)/mews
	@ln -sf $(BUILD)/mews mews

$(BUILD)/libmews.a: $(OBJECTS)
	@rm -f $@ && ar rcs $@ $^

$(BUILD)/mews: $(BUILD)/experiments/main.o $(BUILD)/libmews.a
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c $< -o $@

# A suite is a file: tests/<folder>/test_<subject>.c defines suite_<subject>(), and that is all it takes.
$(BUILD)/tests/suites.inc: $(TESTS)
	@mkdir -p $(@D)
	@for t in $(TESTS); do s=$$(basename $$t .c); echo "SUITE($${s#test_})"; done > $@

$(BUILD)/tests/main.o: $(BUILD)/tests/suites.inc
$(BUILD)/tests/main.o: CPPFLAGS += -I$(BUILD)/tests

$(BUILD)/run-tests: $(TEST_OBJECTS) $(BUILD)/libmews.a
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $$(pkg-config --libs check) $(LDLIBS) -o $@

test: all $(BUILD)/run-tests
	MEWS=$(CURDIR)/$(BUILD)/mews $(BUILD)/run-tests

.PHONY: all test
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
