# shellcheck shell=bash
# Functions for building from scripts: sourced by ./annulus and scripts/test. `root` is set to the source tree by the caller.

builds=${ANNULUS_BUILD_DIR:-$root/build}
case $builds in /*) ;; *) builds=$PWD/$builds ;; esac

say() { echo "annulus: $*" >&2; }

# fail STATUS TEXT [HINT]: the error line of the command line (docs/cli.md), then the end.
fail() {
  say "error: $2"
  [ -z "${3:-}" ] || echo "hint: $3" >&2
  exit "$1"
}

# Is this process one of several that mpirun or srun started? Sets rank_variable.
is_a_rank() {
  for rank_variable in OMPI_COMM_WORLD_RANK PMIX_RANK PMI_RANK SLURM_PROCID; do
    if [ -n "${!rank_variable:-}" ]; then return 0; fi
  done
  return 1
}

# is_fresh PROGRAM: built, and no source changed since. The stamp bears the time at which the last good build began; a deleted or added
# file changes its folder's time.
is_fresh() {
  local stamp=$builds/release/.annulus_built
  [ -x "$1" ] && [ -e "$stamp" ] || return 1
  [ -z "$(find "$root/src" "$root/include" "$root/cmake" "$root/CMakeLists.txt" "$root/CMakePresets.json" \
    ! -name '*_test.cc' -newer "$stamp" -print -quit 2> /dev/null)" ]
}

# locked COMMAND...: one build at a time in a build folder, whoever else starts.
locked() {
  local status=0
  mkdir -p "$builds"
  exec 9> "$builds/.lock"
  if ! flock -n 9; then
    say "waiting for another build of $root"
    flock 9
  fi
  "$@" || status=$?
  exec 9>&-
  return $status
}

# Copies ninja's output to the log $1 and shows how far it is: in place on a terminal, else a line every half minute.
show_progress() {
  local line shown=$SECONDS
  while IFS= read -r line; do
    printf '%s\n' "$line" >> "$1"
    if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
      if [ -t 2 ]; then
        printf '\rannulus: building %s of %s ' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" >&2
      elif [ $((SECONDS - shown)) -ge 30 ]; then
        say "building ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}"
        shown=$SECONDS
      fi
    fi
  done
  [ ! -t 2 ] || printf '\r\033[K' >&2
}

# build PRESET TARGET [CMAKE_OPTION...]: configures where needed (always when options are given) and builds; TARGET may be `all`.
# Output goes to a log under the build folder. Returns 1 after showing the log's end when that fails.
build() {
  local preset=$1 target=$2 folder=$builds/$1 log=$builds/$1.log
  shift 2
  mkdir -p "$folder"
  : > "$log"
  touch "$folder/.annulus_began"
  local fresh=()
  if [ -e "$folder/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$folder/CMakeCache.txt"; then
    fresh=(--fresh)  # the tree was moved or copied
  fi
  if [ ! -e "$folder/build.ninja" ] || [ ${#fresh[@]} -gt 0 ] || [ $# -gt 0 ]; then
    (cd "$root" && cmake --preset "$preset" -B "$folder" "${fresh[@]}" "$@") >> "$log" 2>&1 || {
      show_failure "$log"
      return 1
    }
  fi
  cmake --build "$folder" --target "$target" 2>&1 < /dev/null | show_progress "$log" || {
    show_failure "$log"
    return 1
  }
  mv "$folder/.annulus_began" "$folder/.annulus_built"
}

show_failure() {
  say "error: wanted a build, found that it failed ($1); the log's end:"
  tail -n 30 "$1" >&2
}

# build_program PROGRAM: the release build of the command line, unless somebody else has made it meanwhile. Call it locked.
build_program() {
  local start=$SECONDS options=()
  if is_fresh "$1"; then return; fi
  say "building (log: $builds/release.log)"
  # Tests need packages that a first run does not install; a folder that is already configured stays as it is.
  [ -e "$builds/release/build.ninja" ] || options=(-DANNULUS_TESTS=OFF)
  build release annulus "${options[@]}" || return
  # The program finds the model that comes along in the folders above it.
  if [ "${builds#"$root/"}" = "$builds" ]; then
    mkdir -p "$builds/demo"
    ln -sfn "$root/demo/storybook" "$builds/demo/storybook"
  fi
  say "built in $((SECONDS - start)) s"
}
