/*
 * A teacher: a second network whose parameters are a running mean of the student's (Tarvainen & Valpola 2017; He et al.
 * 2020), never trained themselves. It stands in the same parameter set under names that begin with "teacher.", which
 * makes it part of every checkpoint. Only what the student trains is averaged: the teacher's BatchNorm runs in training
 * mode and its running statistics are its own.
 */
#ifndef MEWS_TEACHER_H
#define MEWS_TEACHER_H

#include "engine/parameters.h"

/* Every "teacher.X" takes the values of its X, once both are there. ERROR_RUN when one has no X of its shape. */
bool teacher_copy(parameters *p, error *err);

/* Every "teacher.X" and its X trade places, running statistics and all: so the student's passes are the teacher's. What
   has no teacher (a predictor) stays. Twice is nothing. */
bool teacher_exchange(parameters *p, error *err);

/* teacher ← keep·teacher + (1 − keep)·student, for every parameter that the student trains. */
void teacher_update(parameters *p, double keep);

#endif
