"""Puts libmews.so beside the package's Python files.

In a checkout of mews the library is built by its Makefile; elsewhere the package is installed without one and takes the
library that `make install` put where the loader looks.
"""
import os
import re
import shutil
import subprocess

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def version():
    with open(os.path.join(HERE, 'mews', '_library.py'), encoding='utf-8') as source:
        return re.search(r"^VERSION = '(.*)'$", source.read(), re.M).group(1)


class build_with_library(build_py):
    def run(self):
        super().run()
        makefile = os.path.join(ROOT, 'Makefile')
        if not os.path.exists(os.path.join(ROOT, 'analysis', 'library', 'mews.h')) or not os.path.exists(makefile):
            return
        subprocess.run(['make', '-C', ROOT, '--no-print-directory', 'libmews'], check=True)
        target = os.path.join(self.build_lib, 'mews')
        if os.path.isdir(target):
            shutil.copy(os.path.join(ROOT, 'build', 'release', 'libmews.so'), target)


class with_binary(Distribution):
    """A wheel with a library in it is one for this platform alone."""

    def has_ext_modules(self):
        return True


setup(version=version(), cmdclass={'build_py': build_with_library}, distclass=with_binary)
