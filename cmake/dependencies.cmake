# SPDX-License-Identifier: Apache-2.0
# The libraries jsfs is made of. pkg-config for libnats, because the CMake package of Debian 12
# names a static library that Debian does not ship.
find_package(PkgConfig REQUIRED)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
find_package(Threads REQUIRED)

pkg_check_modules(nats REQUIRED IMPORTED_TARGET libnats>=3.4)
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson>=2.14)
pkg_check_modules(inih REQUIRED IMPORTED_TARGET inih)
pkg_check_modules(fuse3 REQUIRED IMPORTED_TARGET fuse3>=3.14)
