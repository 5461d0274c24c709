# `make` alone lists what there is. Every target sets up what it needs.

SHELL := /bin/bash
.PHONY: help demo install deb test lint soak bench bench-code models screenshots features clean

# Outside the clone, so that a fresh clone does not build the dependencies anew.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/wysiwyh/target
export PATH := $(HOME)/.cargo/bin:$(PATH)
RUST := $(shell sed -nE 's/^rust-version = "(.*)"/\1/p' Cargo.toml)
ORACLES := $(HOME)/.cache/wysiwyh/oracles
# GigE Vision cameras, where their library is installed. The shell asks, and not
# make, which would ask before setup.sh has installed it. Every command takes
# the same features: another choice of them rebuilds much of the tree.
GIGE := $$(pkg-config --exists 'aravis-0.8 >= 0.8.25' && echo gige)
FEATURES ?= --features "$(GIGE)"

help:
	@echo 'make demo     build, hear a simulated thermal camera, and write the session to out/demo'
	@echo 'make install  put the command wysiwyh into ~/.cargo/bin'
	@echo 'make deb      make a Debian package of it, in out/'
	@echo 'make test     everything that must hold: format, lints, documentation, tests'
	@echo 'make lint     format, lints and documentation alone'
	@echo 'make soak     long runs: damaged files, kills, a camera; SECONDS=300 of each'
	@echo 'make bench    how long things take, beside others that do the same in the same run'
	@echo 'make models   train the shipped models anew from the data in WYSIWYH_DATA'
	@echo 'make bench-code  compare the code with PCA, cosines and the network of the original,'
	@echo '                 and some bands through the model of all with a model of these'
	@echo 'make screenshots  the pictures and the sound in docs/ anew, with chromium, pngquant and the viewer'
	@echo 'make features check that it compiles with each feature left out; builds for an hour'
	@echo 'make clean    delete what was built, in $(CARGO_TARGET_DIR)'
	@echo 'The first build takes 20 to 40 minutes on two cores; later ones take seconds.'

demo:
	@bash setup.sh demo
	cargo build --locked $(FEATURES)
	'$(CARGO_TARGET_DIR)/debug/wysiwyh' demo -o out/demo

install:
	@bash setup.sh demo
	cargo install --locked --debug --path . $(FEATURES)

# Built as ever; cargo-deb takes the folder for a release of its own.
deb:
	@bash setup.sh deb
	cargo build --locked $(FEATURES)
	bash packaging/deb.sh '$(CARGO_TARGET_DIR)/debug/wysiwyh' '$(CARGO_TARGET_DIR)/deb/release' $(FEATURES)
	CARGO_TARGET_DIR='$(CARGO_TARGET_DIR)/deb' cargo deb --locked --no-build --output out

test: lint
	@if [ -d '$(ORACLES)' ]; then export WYSIWYH_ORACLES='$(ORACLES)'; fi; \
	cargo test --locked $(FEATURES)

lint:
	@bash setup.sh test
	cargo fmt --check
	@# Later compilers warn of more than this code has met: there, warnings are shown only.
	@if rustc --version | grep -qF 'rustc $(RUST).'; then deny='-D warnings'; fi; set -ex; \
	cargo clippy --locked $(FEATURES) --all-targets -- $$deny; \
	cargo clippy --locked $(FEATURES) --test soak -- $$deny; \
	RUSTDOCFLAGS="$$deny" cargo doc --locked $(FEATURES) --no-deps

SECONDS ?= 300
soak:
	@bash setup.sh test
	WYSIWYH_SOAK_S='$(SECONDS)' cargo test --locked $(FEATURES) --test soak -- --nocapture --test-threads=1

# Python with TensorFlow and STRAUSS, which only these need.
BENCH = $(HOME)/.cache/wysiwyh/bench
define peers
	[ -x '$(BENCH)/bin/python' ] || python3 -m venv '$(BENCH)'
	'$(BENCH)/bin/pip' install --quiet numpy scipy rasterio tensorflow-cpu strauss
endef

# As tests, so that the dependencies are not built a second time.
bench:
	@bash setup.sh test
	$(peers)
	WYSIWYH_ORACLES='$(BENCH)' cargo test --locked $(FEATURES) --bench synth --bench latency
	cargo build --locked $(FEATURES)
	'$(BENCH)/bin/python' benches/archive.py '$(CARGO_TARGET_DIR)/debug/wysiwyh' \
		scene product chips overviews $(if $(SCENE),--scene '$(SCENE)')
	'$(ORACLES)/bin/python' benches/live.py '$(CARGO_TARGET_DIR)/debug/wysiwyh' 160x120
	'$(ORACLES)/bin/python' benches/live.py '$(CARGO_TARGET_DIR)/debug/wysiwyh' 640x512

# As the record in each model says: `wysiwyh sensors show NAME`.
MODELS ?= sensors
TRAIN = '$(CARGO_TARGET_DIR)/debug/wysiwyh' train
models:
	@bash setup.sh demo
	@: "$${WYSIWYH_DATA:?is the folder with hituav/ and sentinel2/, see datasets/}"
	cargo build --locked $(FEATURES)
	$(TRAIN) "$$WYSIWYH_DATA/hituav" --sensor hituav-lwir --seed 1 \
		-o '$(MODELS)/hituav-lwir.safetensors'
	$(TRAIN) "$$WYSIWYH_DATA/sentinel2" \
		"$$WYSIWYH_DATA/formats/terramind/S2L2A/38D_378R_2_3.tif" --sensor sentinel2-l2a \
		-o '$(MODELS)/sentinel2-l2a.safetensors'
	$(TRAIN) $(patsubst %,simulated:%,$(shell seq 30)) --sensor simulated-lwir \
		-o '$(MODELS)/simulated-lwir.safetensors'

bench-code:
	@bash setup.sh demo
	@: "$${WYSIWYH_DATA:?is the folder with hituav/ and sentinel2/, see datasets/}"
	cargo build --locked $(FEATURES)
	$(peers)
	'$(BENCH)/bin/python' benches/code.py '$(CARGO_TARGET_DIR)/debug/wysiwyh' "$$WYSIWYH_DATA/hituav"
	'$(BENCH)/bin/python' benches/subsets.py '$(CARGO_TARGET_DIR)/debug/wysiwyh' "$$WYSIWYH_DATA/sentinel2"

screenshots:
	@bash setup.sh test
	@bash setup.sh screenshots
	cargo build --locked $(FEATURES)
	bash docs/screenshots.sh '$(CARGO_TARGET_DIR)/debug/wysiwyh' '$(ORACLES)'

# Tests are of the whole program.
features:
	@bash setup.sh test
	for feature in '' gdal sound uvc rerun gpu $(GIGE); do \
		CARGO_TARGET_DIR='$(CARGO_TARGET_DIR)-features' cargo clippy --locked --lib --bins --examples \
			--no-default-features --features "$$feature" -- -D warnings || exit 1; \
	done

clean:
	cargo clean
