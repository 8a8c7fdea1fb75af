# mews: see `make help`. Objects go to build/<kind>/; a kind is a set of flags (release, sanitize, double, …).

# All cores, unless the line says another -j. What this make starts shares them.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 1)
endif

CC       ?= cc
KIND     ?= release
OBJCOPY  ?= objcopy
BUILD    := build/$(KIND)$(if $(MARCH),$(if $(findstring release,$(KIND)),-$(MARCH)))

# Debian keeps several OpenBLAS builds side by side; the OpenMP one shares its threads with everything else here.
MULTIARCH := $(shell { $(CC) -print-multiarch; } 2>/dev/null)
BLAS_DIR  := /usr/lib/$(MULTIARCH)/openblas-openmp
PACKAGES  := yaml-0.1 jansson libjpeg libpng zlib libwebp libwebpdemux libtiff-4 libarchive matio hdf5 sqlite3 libcurl nettle

# What runs hot (HOT below) is built for three levels of x86-64, and the last of them with AVX512-BF16, and chosen at start
# (engine/isa.h), the rest for the first. MARCH=native, or another that the compiler knows, builds all of it once; so do
# the kinds that are for tests. A choice is a name, a build and a level; of one that multiplies bfloat16 there is a second,
# told to use tiles.
MARCHES := v2:x86-64-v2 v3:x86-64-v3 v4:x86-64-v4 v4_bf16:x86-64-v4~-mavx512bf16
ISAS    := $(foreach m,$(MARCHES),$(firstword $(subst :, ,$m)))
CHOICES := X(v2, v2, 2) X(v3, v3, 3) X(v4, v4, 4) X(v4_bf16, v4_bf16, 5) X(v4_amx, v4_bf16, 6)
ifneq ($(MARCH)$(filter-out release,$(KIND)),)
ISAS    := $(subst -,_,$(or $(MARCH),native))
MARCHES := $(ISAS):$(or $(MARCH),native)
CHOICES := X($(ISAS), $(ISAS), 0)
TILED   := X($(ISAS)_amx, $(ISAS), 6)
endif
march = -march=$(subst ~, ,$(patsubst $1:%,%,$(filter $1:%,$(MARCHES))))

CFLAGS_release  := -O3
CFLAGS_sanitize := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_thread   := -O1 -g -fsanitize=thread
CFLAGS_coverage := -O1 --coverage -fprofile-update=atomic
CFLAGS_fuzz     := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CFLAGS_double   := -O2 -DMEWS_DOUBLE
CFLAGS ?= $(CFLAGS_$(KIND))
# clang also warns where it could not vectorise a loop that was marked for it: a fact about speed, not a fault.
WARN   := $(if $(findstring clang,$(shell { $(CC) --version; } 2>/dev/null)),-Wno-pass-failed) -Wall -Wextra -Wpedantic -Werror
# Contraction is pinned so that a compiler's whim does not decide a bit; no -ffast-math anywhere.
override CFLAGS += -std=c17 -D_GNU_SOURCE $(WARN) -fopenmp -fno-math-errno -fno-trapping-math -ffp-contract=fast -g \
                   $(call march,$(firstword $(ISAS)))
CPPFLAGS += -I. -I/usr/include/$(MULTIARCH)/openblas-openmp $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
LDFLAGS  += -L$(BLAS_DIR) -Wl,--disable-new-dtags,-rpath,$(BLAS_DIR)
LDLIBS   := -ldnnl -lopenblas -llapacke $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lm -lpthread

SOURCES  := $(sort $(filter-out engine/mpi/%,$(wildcard engine/*.c engine/*/*.c engine/*/*/*.c)) \
                   $(wildcard methods/*.c analysis/*.c analysis/*/*.c analysis/*/*/*.c) \
                   $(filter-out experiments/commands/main.c,$(wildcard experiments/*/*.c)))
MPI_MODULES := $(if $(filter release,$(KIND)),$(patsubst mpicc.%,$(BUILD)/mews-mpi-%.so,\
                   $(foreach m,openmpi mpich,$(shell command -v mpicc.$m >/dev/null 2>&1 && echo mpicc.$m))))
# What runs hot, its entries, and what of it the rest calls too, which gets a copy of its own.
HOT      := $(filter engine/cpu/%,$(SOURCES)) $(addprefix engine/data/views/,augment_pixels.c resize.c blur.c colour.c)
ENTRIES  := backend_cpu augment_pixels
SHARED   := $(addprefix engine/data/views/,resize.c blur.c colour.c)
OBJECTS  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(HOT),$(SOURCES)) $(SHARED)) $(BUILD)/code.o $(ISAS:%=$(BUILD)/hot-%.o)
TESTS    := $(sort $(wildcard tests/*/test_*.c))
FUZZERS  := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
TEST_OBJECTS := $(TESTS:%.c=$(BUILD)/%.o) $(FUZZERS:%=$(BUILD)/tests/fuzz/fuzz_%.o) $(BUILD)/tests/main.o

# Where the programs and headers come from, and what a fresh machine lacks of it.
DEPENDENCIES := gcc make pkg-config libdnnl-dev libopenblas-openmp-dev liblapacke-dev libyaml-dev libjansson-dev \
                libjpeg62-turbo-dev libpng-dev zlib1g-dev libwebp-dev libtiff-dev libarchive-dev libmatio-dev libhdf5-dev libsqlite3-dev libcurl4-openssl-dev nettle-dev check \
                gnuplot-nox fonts-dejavu-core

# The same for a system without apt: versions are Debian 12's, with which all of this is tested; older ones are not.
LIBRARIES := yaml-0.1>=0.2.5 jansson>=2.14 libjpeg>=2.1.5 libpng>=1.6.39 libwebp>=1.2.4 libwebpdemux>=1.2.4 libtiff-4>=4.5 \
             libarchive>=3.6.2 matio>=1.5.23 hdf5>=1.10.8 sqlite3>=3.40 libcurl>=7.88 nettle>=3.8 openblas>=0.3.21 lapacke>=3.11
HEADERS   := dnnl.h cblas.h lapacke.h

# Where a library is missing, what is to be installed comes first and make starts afresh: pkg-config has to see it.
READY := $(shell pkg-config --exists $(PACKAGES) 2>/dev/null && \
                 printf '\#include <%s>\n' $(HEADERS) | $(CC) $(CPPFLAGS) -E - >/dev/null 2>&1 && echo yes)
ifeq ($(READY),yes)
all: program
else
all: deps
	@$(MAKE) --no-print-directory program
endif

program: $(BUILD)/mews $(MPI_MODULES)
	@test $(KIND) != release || ln -sf $(BUILD)/mews mews # other kinds are for tests

# A module for each kind of MPI that is there (engine/peers.h): loaded under its launcher alone.
$(BUILD)/mews-mpi-%.so: engine/mpi/peers_mpi.c engine/peers.h
	@echo '  mpicc $@'
	@mkdir -p $(@D)
	@OMPI_CC='$(CC)' MPICH_CC='$(CC)' mpicc.$* -std=c17 -D_GNU_SOURCE -O2 -Wall -Wextra -I. -fPIC -shared $< -o $@

$(BUILD)/libmews.a: $(OBJECTS)
	@rm -f $@ && ar rcs $@ $^

$(BUILD)/mews: $(BUILD)/experiments/commands/main.o $(BUILD)/libmews.a
	@echo '  ld $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# The analysis as a shared library, for C (analysis/library/mews.h) and Python (analysis/python): what is not its interface
# is hidden, and it is linked with what it calls alone.
LIBRARY := $(filter-out engine/files/checkpoint.c analysis/diagnose/compare.c analysis/report/%, \
                        $(filter analysis/%,$(SOURCES)) $(wildcard engine/files/*.c)) \
           $(addprefix engine/,error.c fields.c rng.c)
$(LIBRARY:%.c=$(BUILD)/%.o): override CFLAGS += -fPIC -fvisibility=hidden
$(BUILD)/libmews.so: $(LIBRARY:%.c=$(BUILD)/%.o)
	@echo '  ld $@'
	@$(CC) $(CFLAGS) -shared -Wl,-soname,libmews.so -Wl,-z,defs -Wl,--as-needed $(LDFLAGS) $^ $(LDLIBS) -o $@

libmews: $(BUILD)/libmews.so

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo '  cc $<'
	@$(CC) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c $< -o $@

# Other flags, other objects.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo "$(subst ",\",$(CC) $(CFLAGS) $(CPPFLAGS))" | cmp -s - $@ || \
	    echo "$(subst ",\",$(CC) $(CFLAGS) $(CPPFLAGS))" > $@

# The hot sources as one object for each instruction set, of which only the entries can be seen, under names of their own.
define hot
$(BUILD)/$1/%.o: %.c $(BUILD)/flags
	@mkdir -p $$(@D)
	@echo '  cc $$< ($1)'
	@$$(CC) $$(CFLAGS) $(call march,$1) $$(CPPFLAGS) -MMD -MP -c $$< -o $$@

$(BUILD)/hot-$1.o: $(HOT:%.c=$(BUILD)/$1/%.o)
	@echo '  ld $$@'
	@$$(LD) -r $$^ -o $$@
	@$$(OBJCOPY) $(foreach e,$(ENTRIES),--redefine-sym $e=$e_$1 --keep-global-symbol=$e_$1) $$@
endef
$(foreach i,$(ISAS),$(eval $(call hot,$i)))

# What finds out which processor this is runs on any.
$(BUILD)/engine/isa.o: CPPFLAGS += '-DMEWS_ISAS=$(CHOICES)' '-DMEWS_TILED=$(TILED)'
ifeq ($(firstword $(ISAS)),v2)
$(BUILD)/engine/isa.o $(BUILD)/experiments/commands/main.o: override CFLAGS += -march=x86-64
endif

# What each part of the code is, as the program knows it of itself (experiments/run/code.h).
CODE := $(wildcard engine/*.[ch] engine/*/*.[ch] engine/*/*/*.[ch] methods/*.[ch] experiments/run/*.[ch]) $(wildcard experiments/run/code.*)
$(BUILD)/code.c: $(CODE) $(BUILD)/flags
	@sh experiments/run/code.sh '$(sort $(filter -D%,$(CFLAGS) $(CPPFLAGS)))' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(BUILD)/code.o: $(BUILD)/code.c
	@echo '  cc $<'
	@$(CC) $(CFLAGS) $(CPPFLAGS) -c $< -o $@

# A suite is a file: tests/<folder>/test_<subject>.c defines suite_<subject>(), and that is all it takes.
$(BUILD)/tests/suites.inc: $(TESTS)
	@mkdir -p $(@D)
	@for t in $(TESTS); do s=$$(basename $$t .c); echo "SUITE($${s#test_})"; done > $@

$(BUILD)/tests/main.o: $(BUILD)/tests/suites.inc
$(BUILD)/tests/main.o: CPPFLAGS += -I$(BUILD)/tests

# The trial of the verdicts: a thousand matrices of known truth; the suite `verdicts` runs a sample of it.
TRIAL := $(addprefix $(BUILD)/tests/verdicts/,draw.o drawings.o trial.o)

$(BUILD)/run-verdicts: $(BUILD)/tests/verdicts/main.o $(TRIAL) $(BUILD)/libmews.a
	@echo '  ld $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

verdicts: $(BUILD)/run-verdicts
	OMP_NUM_THREADS=1 $(BUILD)/run-verdicts

$(BUILD)/run-tests: $(TEST_OBJECTS) $(TRIAL) $(BUILD)/libmews.a
	@echo '  ld $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $$(pkg-config --libs check) $(LDLIBS) -o $@

# Gradients are held against finite differences by a program of its own, with the engine in double precision.
GRADIENTS := $(wildcard engine/ops*.c) \
             $(addprefix engine/,tape.c traffic.c codes.c parameters.c teacher.c schedule.c positions.c backbone.c rng.c error.c fields.c room.c threads.c peers.c) \
             $(wildcard engine/cpu/*.c engine/backbones/*.c methods/*.c tests/gradients/*.c)

$(BUILD)/run-gradients: $(GRADIENTS:%.c=$(BUILD)/%.o)
	@echo '  ld $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $$(pkg-config --libs check) $(LDLIBS) -o $@

# The parts that the READMEs walk through (a method, a backbone, a step of augmentation, a metric, a reader): their code
# as it stands there, each list with the line that is said there (behind four blanks), and a program with all of them.
PAGE := $(BUILD)/page
$(PAGE)/own_method.c:   methods/README.md
$(PAGE)/own_backbone.c: engine/backbones/README.md
$(PAGE)/own_step.c:     engine/data/steps/README.md
$(PAGE)/own_metric.c:   analysis/metrics/README.md
$(PAGE)/own_reader.c:   analysis/files/README.md
OWN := $(addprefix $(PAGE)/own_,method.c backbone.c step.c metric.c reader.c)
$(OWN):
	@mkdir -p $(@D)
	@sed -n '/^```c$$/,/^```$$/p' $< | sed '/^```/d' > $@

$(PAGE)/methods.c:   methods/registry.c methods/README.md
$(PAGE)/backbones.c: engine/backbone.c engine/backbones/README.md
$(PAGE)/augment.c:   engine/data/views/augment.c engine/data/steps/README.md
$(PAGE)/formats.c:   analysis/files/array_formats.c analysis/files/README.md
$(PAGE)/lists/analysis/metrics/list.h: analysis/metrics/list.h analysis/metrics/README.md
LISTS := $(addprefix $(PAGE)/,methods.c backbones.c augment.c formats.c lists/analysis/metrics/list.h)
$(LISTS):
	@mkdir -p $(@D)
	@awk 'NR == FNR { if (/^    X\(.*\)$$/) line = $$0; next } \
	    !done && /^#define [A-Z]+\(X\)/ { match($$0, /\(X\)/); done = line != ""; \
	        $$0 = substr($$0, 1, RSTART + 2) line " " substr($$0, RSTART + 3) } { print } END { exit !done }' \
	    $(word 2,$^) $< > $@ || { echo 'no line for $< in $(word 2,$^)'; rm $@; exit 1; }

# Who reads the metrics' list reads the one with one more.
$(PAGE)/metrics.c: analysis/metrics/registry.c
$(PAGE)/options.c: experiments/spec/options.c
$(PAGE)/metrics.c $(PAGE)/options.c: $(PAGE)/lists/analysis/metrics/list.h
	@cp $(filter %.c,$^) $@
$(PAGE)/metrics.o $(PAGE)/options.o: override CPPFLAGS := -I$(PAGE)/lists $(CPPFLAGS)

$(PAGE)/%.o: $(PAGE)/%.c $(BUILD)/flags
	@echo '  cc $<'
	@$(CC) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/mews-page: $(BUILD)/experiments/commands/main.o \
    $(patsubst %.c,%.o,$(OWN) $(filter %.c,$(LISTS)) $(PAGE)/metrics.c $(PAGE)/options.c) $(BUILD)/libmews.a
	@echo '  ld $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/run-tests: | $(BUILD)/mews-page

# The program with its calls failing on demand; see tests/faults/faults.c, from which the names are taken.
WRAPPED := $(shell awk -F', *' '/^WRAP./ {print $$2}' tests/faults/faults.c) fread getline fgets fwrite fclose json_load_file open openat asprintf
$(BUILD)/mews-faults: $(BUILD)/experiments/commands/main.o $(BUILD)/tests/faults/faults.o $(BUILD)/libmews.a
	@echo '  ld $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) $(WRAPPED:%=-Wl,--wrap=%) $^ $(LDLIBS) -o $@

$(BUILD)/run-tests: | $(BUILD)/mews-faults

# Files of embeddings by the libraries that write them, in the versions that are pinned, and the Python package beside them; needs Python 3.11 or later, the
# network and some gigabytes. CI has the same files, made before (tests/golden/embeddings).
check-python: all
	@test -x build/python/bin/python || python3 -m venv build/python
	build/python/bin/pip install -q -r tests/reference/requirements.txt
	MEWS=$(CURDIR)/$(BUILD)/mews PYTHONWARNINGS=ignore build/python/bin/python tests/reference/formats.py
	build/python/bin/pip install -q --force-reinstall --no-deps ./analysis/python
	PYTHONWARNINGS=ignore build/python/bin/python tests/reference/python_package.py $(BUILD)/mews

# The engine's half of a comparison with PyTorch that needs Python and real images; see tests/reference.
$(BUILD)/falcon-replay: $(BUILD)/tests/reference/falcon_replay.o $(BUILD)/libmews.a
	@echo '  ld $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

test: all $(BUILD)/run-tests
	@$(MAKE) --no-print-directory KIND=double build/double/run-gradients
	build/double/run-gradients
	tests/run.sh $(BUILD)

# Installing first and building after: pkg-config has to see what was just installed, so make starts afresh.
check: deps
	@$(MAKE) --no-print-directory test

# The suites as other machines would run them; with clang too, where that is installed.
portability: deps
	@$(MAKE) --no-print-directory all $(BUILD)/run-tests
	@$(MAKE) --no-print-directory KIND=double build/double/run-gradients
	@! command -v clang >/dev/null || $(MAKE) --no-print-directory CC=clang BUILD=build/clang \
	    build/clang/mews build/clang/run-tests
	tests/portability.sh long

sanitize: deps
	@$(MAKE) --no-print-directory KIND=sanitize ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 LSAN_OPTIONS=print_suppressions=0 test

# What finds faults without a test for each, and how much the tests reach: tests/README.md tells what they found.
race: deps
	@command -v clang >/dev/null || { echo "make race needs clang and libomp: apt-get install clang libomp-dev"; exit 1; }
	@$(MAKE) --no-print-directory KIND=thread CC=clang all build/thread/run-tests
	KIND=thread tests/race.sh

memory: deps
	@command -v valgrind >/dev/null || { echo "make memory needs valgrind: apt-get install valgrind"; exit 1; }
	@$(MAKE) --no-print-directory all
	tests/valgrind.sh build/release/mews

coverage: deps
	@$(MAKE) --no-print-directory KIND=coverage all build/coverage/run-tests
	tests/coverage.sh build/coverage

# One file at a time, all cores: what any of the three says beyond what tests/README.md answers ends it.
ANALYZED := $(filter-out experiments/commands/main.c,$(SOURCES)) experiments/commands/main.c
analyze: deps
	@$(MAKE) --no-print-directory build/release/code.o
	CC='$(CC)' FLAGS='$(filter-out -Werror -O3 -g,$(CFLAGS)) $(CPPFLAGS)' tests/analyze.sh $(ANALYZED)

# A mixed sweep for HOURS in the background: memory, descriptors and throughput from /proc, a plot and a verdict.
HOURS ?= 2
soak: all
	nice -n 19 tests/soak.sh build/release/mews $(HOURS) build/soak

# Each reader of files gets random bytes that grow out of tests/fuzz/corpus, under sanitizers; needs clang.
FUZZ_SECONDS ?= 60
fuzz: deps
	@if command -v clang >/dev/null; then $(MAKE) --no-print-directory KIND=fuzz CC=clang run-fuzzers; else \
	    echo "make fuzz needs clang (libFuzzer), which is not here: apt-get install clang libomp-dev"; fi

# libmatio allocates what a file says of itself before it reads on: there, more than 2 GiB is refused and no finding.
run-fuzzers: $(FUZZERS:%=$(BUILD)/fuzz-%)
	@for f in $(FUZZERS); do limit=2048; test $$f != mat || limit=65536; most=8192; test $$f != index || most=16384; \
	    unwind=1; test $$f != h5 || unwind=0; \
	    echo "the reader of $$f, for $(FUZZ_SECONDS) s" && mkdir -p $(BUILD)/corpus/$$f && \
	    OMP_NUM_THREADS=1 ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=2048:fast_unwind_on_malloc=$$unwind \
	        $(BUILD)/fuzz-$$f -max_total_time=$(FUZZ_SECONDS) -max_len=$$most -timeout=20 \
	        -rss_limit_mb=2048 -malloc_limit_mb=$$limit -print_final_stats=1 -artifact_prefix=$(BUILD)/$$f- \
	        $(BUILD)/corpus/$$f tests/fuzz/corpus/$$f >$(BUILD)/$$f.log 2>&1 || { tail -40 $(BUILD)/$$f.log; exit 1; }; \
	    sed -n 's/stat::number_of_executed_units: */  inputs without a finding: /p' $(BUILD)/$$f.log; done

$(BUILD)/fuzz-%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/libmews.a tests/fuzz/driver.c
	@echo '  ld $@'
	@$(CC) $(CFLAGS) $(CPPFLAGS) -DFUZZ=fuzz_$* -fsanitize=fuzzer $(LDFLAGS) tests/fuzz/driver.c $< $(BUILD)/libmews.a \
	    $(LDLIBS) -o $@

.SECONDARY: $(FUZZERS:%=$(BUILD)/tests/fuzz/fuzz_%.o)

# ---- Experiments: make NAME [DATA=PATH] [EPOCHS=N] [SEEDS=N] [JOBS=N] [SCALE=small|paper] ----
# All of it in the shell, which make hands these variables: make itself would take a path with a space for two.
# Results are named after the experiment, its scale, the data's base name and the epochs, so that other settings are other
# folders. The paper's scale has a spec of its own, experiments/paper/NAME.yaml.
define experiment
	@set -e; set --; suffix=; spec=experiments/$@.yaml; \
	for n in "EPOCHS=$$EPOCHS" "SEEDS=$$SEEDS" "JOBS=$$JOBS"; do case $${n#*=} in \
	    '') ;; 0*|*[!0-9]*) echo "make $@: $${n%%=*} takes a number from 1, not \`$${n#*=}\`" >&2; exit 2;; esac; done; \
	case "$${SCALE:-small}" in small) ;; paper) suffix=-paper; spec=experiments/paper/$@.yaml; \
	        test -e $$spec || { echo "make $@: SCALE: there is no $$spec; this one has no paper's scale" >&2; exit 2; }; \
	        test -z "$$EPOCHS" || { echo "make $@: EPOCHS: SCALE=paper takes the paper's epochs" >&2; exit 2; };; \
	    *) echo "make $@: SCALE takes small or paper, not \`$$SCALE\`" >&2; exit 2;; esac; \
	if test -n "$$DATA"; then \
	    test -e "$$DATA" || { echo "make $@: DATA: there is no file or folder $$DATA" >&2; exit 2; }; \
	    path=$$(realpath -s "$$DATA"); base=$$(basename "$$path"); base=$${base%%.*}; \
	    suffix=$$suffix-$$(printf %s "$${base:-data}" | LC_ALL=C tr -c A-Za-z0-9_- _ | cut -c -32); kind=folder; \
	    case $$(basename "$$path") in *cifar-10-binary*) kind=cifar10;; *cifar-100-binary*) kind=cifar100;; \
	        *stl10_binary*) kind=stl10;; *tiny-imagenet-200*) kind=tiny-imagenet;; *ashion*) kind=fashion-mnist;; esac; \
	    if test -e "$$path/data_batch_1.bin" || test -e "$$path/cifar-10-batches-bin"; then kind=cifar10; \
	    elif test -e "$$path/train_32x32.mat"; then kind=svhn; elif test -e "$$path/train_X.bin"; then kind=stl10; \
	    elif test -e "$$path/wnids.txt"; then kind=tiny-imagenet; elif test $$kind = folder && \
	        ls "$$path"/train-images-idx3-ubyte* >/dev/null 2>&1; then kind=mnist; fi; \
	    $(kind_of_$@) \
	    set -- "$$@" --set data.name=$$kind --set "data.path=$$path"; fi; \
	if test -n "$$QUICK"; then test "$$QUICK" = 1 || { echo "make $@: QUICK takes 1, not \`$$QUICK\`" >&2; exit 2; }; \
	    test -z "$$EPOCHS$$SEEDS$$SCALE" || { echo "make $@: QUICK=1 has its own epochs, seeds and scale" >&2; exit 2; }; \
	    suffix=$$suffix-quick; set -- "$$@" --base train.epochs=1 $(quick_of_$@); SEEDS=1; fi; \
	if test -n "$$EPOCHS"; then suffix=$$suffix-$$EPOCHS-epochs; set -- "$$@" --base train.epochs=$$EPOCHS; fi; \
	if test -n "$$SEEDS"; then \
	    set -- "$$@" --set "sweep.train.seed=[$$(seq -s, 0 $$((SEEDS - 1)))]"; fi; \
	./mews sweep $$spec --set name=$@$$suffix "$$@" -j "$${JOBS:-1}" --plan; \
	./mews report results/$@$$suffix; \
	$(after_$@)
endef
export DATA EPOCHS SEEDS JOBS SCALE QUICK PEERS

# QUICK=1: one epoch, one seed. Of ablation-dims three blocks, of which one collapses, and half of the drawings: two minutes.
quick_of_ablation-dims = --block falcon-codes --block vicreg-outputs --block swav-without-sinkhorn --base data.limit=11264

# The table finds its published row by the data's name: images in folders whose name says CIFAR or SVHN are those. At the
# paper's scale each data set has blocks of its own.
kind_of_table1 = case $$(basename "$$path") in *cifar100*|*cifar-100*) kind=cifar100;; *cifar10*|*cifar-10*) \
	        kind=cifar10;; *svhn*|*SVHN*) kind=svhn;; esac; \
	    if test "$$SCALE" = paper; then case $$kind in svhn|cifar10|cifar100) \
	        set -- --block $$kind --block $$kind-random;; \
	        *) echo "make $@: DATA: the paper's scale is for SVHN, CIFAR-10 and CIFAR-100, not for $$base" >&2; exit 2;; \
	        esac; fi;
after_table1 = echo; ./mews table table1 --where "name = '$@$$suffix'"

after_table2 = echo; ./mews table table2 --where "name = '$@$$suffix'"

SMALL_AND_PAPER := ablation-dims ablation-dictionary ablation-beta ablation-batch figure-collapse table1 table2
SMALL_ONLY      := ablation-prior ablation-codes-million ablation-imbalance collapse-zoo methods failure-proof
$(SMALL_AND_PAPER) $(SMALL_ONLY): deps
	@$(MAKE) --no-print-directory all
	$(experiment)

bench: deps
	@$(MAKE) --no-print-directory all
	@experiments/bench/table.sh

deps:
	@DEPENDENCIES="$(DEPENDENCIES)" LIBRARIES="$(LIBRARIES)" HEADERS="$(HEADERS)" CC="$(CC)" CPPFLAGS="$(CPPFLAGS)" .packaging/deps.sh

# ---- Installing -----------------------------------------------------------------------------------------------------
# Program, man page, completions, library, header and pkg-config file, under DESTDIR where packages are built.
PREFIX   ?= /usr/local
VERSION  := $(shell sed -n 's/.*MEWS_VERSION "\(.*\)"/\1/p' engine/version.h)
BASHDIR  ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR   ?= $(PREFIX)/share/zsh/vendor-completions
FISHDIR  ?= $(PREFIX)/share/fish/vendor_completions.d

# The library goes with the program, unless a package has its own place for it (INSTALL_MORE=).
INSTALL_MORE   ?= install-library install-python
UNINSTALL_MORE ?= uninstall-library uninstall-python
install-library: libmews
	install -D -m 644 $(BUILD)/libmews.so $(DESTDIR)$(PREFIX)/lib/libmews.so
	install -D -m 644 analysis/library/mews.h $(DESTDIR)$(PREFIX)/include/mews.h
	@mkdir -p $(BUILD)/install
	printf 'prefix=%s\n\nName: libmews\nDescription: which of the four collapses happened to embeddings\nVersion: %s\nCflags: -I$${prefix}/include\nLibs: -L$${prefix}/lib -lmews\n' \
	    '$(PREFIX)' '$(VERSION)' > $(BUILD)/install/mews.pc
	install -D -m 644 $(BUILD)/install/mews.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/mews.pc

# The Python package beside it, which takes that library: no pip and no network, only a python3 that says where. A virtual
# environment wants `pip install ./analysis/python`.
PYTHON    ?= python3
PYTHONDIR ?= $(shell $(PYTHON) -c 'import sysconfig as s; print(s.get_path("purelib", vars={"base": "$(PREFIX)", "platbase": "$(PREFIX)"}))' 2>/dev/null)
install-python: install-library
	@if test -z "$(PYTHONDIR)"; then \
	    echo "there is no $(PYTHON), so its package was not installed; pip install ./analysis/python does it later"; \
	else install -d $(DESTDIR)$(PYTHONDIR)/mews && \
	    install -m 644 analysis/python/mews/*.py $(DESTDIR)$(PYTHONDIR)/mews/ && \
	    echo "Python package in $(DESTDIR)$(PYTHONDIR)/mews"; fi

uninstall-python:
	test -z "$(PYTHONDIR)" || rm -rf $(DESTDIR)$(PYTHONDIR)/mews

uninstall-library:
	rm -f $(DESTDIR)$(PREFIX)/lib/libmews.so $(DESTDIR)$(PREFIX)/include/mews.h $(DESTDIR)$(PREFIX)/lib/pkgconfig/mews.pc

install: all $(INSTALL_MORE)
	install -D $(BUILD)/mews $(DESTDIR)$(PREFIX)/bin/mews
	for m in $(MPI_MODULES); do install -D -m 644 $$m $(DESTDIR)$(PREFIX)/lib/mews/$$(basename $$m) || exit 1; done
	@mkdir -p $(BUILD)/install
	$(BUILD)/mews help --man > $(BUILD)/install/mews.1
	for s in bash zsh fish; do $(BUILD)/mews help --completion $$s > $(BUILD)/install/mews.$$s || exit 1; done
	install -D -m 644 $(BUILD)/install/mews.1 $(DESTDIR)$(PREFIX)/share/man/man1/mews.1
	install -D -m 644 $(BUILD)/install/mews.bash $(DESTDIR)$(BASHDIR)/mews
	install -D -m 644 $(BUILD)/install/mews.zsh $(DESTDIR)$(ZSHDIR)/_mews
	install -D -m 644 $(BUILD)/install/mews.fish $(DESTDIR)$(FISHDIR)/mews.fish

uninstall: $(UNINSTALL_MORE)
	rm -f $(DESTDIR)$(PREFIX)/lib/mews/mews-mpi-*.so
	rm -f $(DESTDIR)$(PREFIX)/bin/mews $(DESTDIR)$(PREFIX)/share/man/man1/mews.1 $(DESTDIR)$(BASHDIR)/mews \
	    $(DESTDIR)$(ZSHDIR)/_mews $(DESTDIR)$(FISHDIR)/mews.fish

# A Debian package in build/: the sources as they are committed, with .packaging/debian laid into them.
deb:
	@command -v dpkg-buildpackage >/dev/null && command -v dh >/dev/null || { \
	    echo "make deb needs dpkg-dev and debhelper: apt-get install dpkg-dev debhelper lintian"; exit 1; }
	rm -rf build/deb && mkdir -p build/deb/mews-$(VERSION)
	git ls-files -z | tar --null -T - -cf - | tar -xf - -C build/deb/mews-$(VERSION)
	cp -r .packaging/debian build/deb/mews-$(VERSION)/debian
	cd build/deb/mews-$(VERSION) && dpkg-buildpackage -b -us -uc
	@if command -v lintian >/dev/null; then lintian --fail-on error,warning build/deb/*.changes; \
	else echo "lintian is not installed, so the package was not checked"; fi
	@ls build/deb/*.deb

clean:
	rm -rf build mews

help:
	@echo "make ablation-dims   how dictionary and embedding sizes decide collapse: trains, diagnoses, draws a page"
	@echo "                     DATA=PATH (image folder, archive or published files)  EPOCHS=N  SEEDS=N  JOBS=N  QUICK=1"
	@echo "                     SCALE=small (under an hour on two cores) or paper (its settings; months): these take it:"
	@echo "make table1          the paper's Table 1: five methods beside random and supervised; prints it beside ours"
	@echo "make table2          the paper's Table 2: DINO and FALCON on a Vision Transformer, by number of codes; likewise"
	@echo "make figure-collapse spectra, entropy, covariance and adjacency by number of codes and by method"
	@echo "make ablation-beta   is beta robust?  (again with DATA=PATH for another data set)"
	@echo "make ablation-prior  the two forms of FALCON's prior, the preprint's and the published code's, by number of codes"
	@echo "make ablation-batch  tau depends on the batch: does the result?"
	@echo "make ablation-dictionary      what codes are drawn from: signs, Hadamard, rotations, normal numbers, learned"
	@echo "make ablation-codes-million   from a hundred codes to a million on one machine, by Hadamard codes"
	@echo "make ablation-imbalance       a long tail of classes against the prior that all codes are used alike"
	@echo "make failure-proof   how far each method is from collapse, one key at a time: 360 runs, hours; SEEDS=1: 120"
	@echo "make collapse-zoo    methods beside the switch that makes them collapse: one run and more for each mode"
	@echo "make methods         every method at one small scale, beside the untrained backbone and the supervised one"
	@echo "make verdicts        the trial of the collapse verdicts: 1,296 matrices of known truth, confusion tables"
	@echo "make check           installs what is missing, builds, runs the tests"
	@echo "make portability     the suites that compute, with the kernels of other processors, other threads, and clang"
	@echo "make sanitize        the tests under address and undefined-behaviour sanitizers"
	@echo "make analyze         clang's analyzer, gcc -fanalyzer and cppcheck over every source"
	@echo "make race            what threads share, under clang's thread sanitizer"
	@echo "make memory          a training, an evaluation, a diagnosis and a report under valgrind"
	@echo "make coverage        lines and branches that the tests reach, by folder"
	@echo "make soak            a mixed sweep in the background  HOURS=N: do memory, descriptors, throughput stay flat?"
	@echo "make check-python    files of embeddings as today's PyTorch, h5py, pandas, … write them (downloads these)"
	@echo "make fuzz            random bytes into every reader of files, under sanitizers  FUZZ_SECONDS=N (each)"
	@echo "make bench           the yardsticks as a table; beside PyTorch, faiss, … where those are: PEERS=PYTHON, or in build/peers"
	@echo "make all             builds ./mews only  MARCH=native (for this processor alone)"
	@echo "make deps            installs what the build needs (Debian packages)"
	@echo "make libmews         the analysis as a shared library, for C and for Python (pip install ./analysis/python)"
	@echo "make install         PREFIX=/usr/local DESTDIR=: program, library, man page, Python    make uninstall"
	@echo "make deb             a Debian package in build/deb (needs debhelper)    make clean    removes build/"

.PHONY: race memory coverage analyze soak check-python FORCE all program libmews test check portability verdicts sanitize fuzz \
        run-fuzzers $(SMALL_AND_PAPER) $(SMALL_ONLY) bench deps install uninstall install-library uninstall-library \
        install-python uninstall-python deb clean help
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
