#!/bin/sh
# Takes out of an environment what no replica reads: `sh requirements/thin.sh ENVIRONMENT`, in a stage of the service's image.
set -eu
cd "$1"/lib/python3*/site-packages

# Of Ray: Java, the page of its dashboard (its interface stays), libraries that need pandas and pyarrow, and a second aiohttp.
rm -rf ray/jars ray/dashboard/client/build ray/rllib ray/llm ray/data ray/train ray/tune
rm -rf ray/_private/runtime_env/agent/thirdparty_files
# What Ray asks for to build environments and to look into processes: the root is read-only, and pods may not trace.
rm -rf virtualenv virtualenv-*.dist-info distlib distlib-*.dist-info py_spy-*.dist-info ../../../bin/virtualenv ../../../bin/py-spy

# Compilers of Fortran, and colours for languages that no traceback is in.
rm -rf numpy/f2py numpy/distutils
find pygments/lexers -type f -not -name '__init__.py' -not -name '_mapping.py' -not -name 'python.py' -delete

find . -type d -name tests -prune -exec rm -rf {} +
find . -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.h' -o -name '*.a' -o -name '*.map' \) -delete

# Names that debuggers alone read: a quarter of Ray. Libraries that were moved into a wheel (`*.libs`) may not be rewritten.
find . -type f -size +16k \( -name '*.so*' -o -perm -u+x \) -not -path '*.libs/*' | while read -r file; do
  if [ "$(head -c 4 "$file" | tail -c 3)" = ELF ]; then strip --strip-unneeded --preserve-dates "$file"; fi
done
