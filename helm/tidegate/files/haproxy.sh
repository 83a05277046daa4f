#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a HAProxy that `tidegate run --external` drives, in any image that has one:
#
#     haproxy.sh RUN_DIR [OPTION OF HAPROXY...]
set -eu
# However it is told to end, it ends its requests first. It is told again and again: a master that
# executes itself anew for a reload forgets.
trap 'while kill -USR1 ${!-} 2>/dev/null; do sleep 0.5; done; exit 0' TERM USR1 INT
cd "$1"
shift
# tidegate writes what this version takes; what it wrote for another one is of no use.
haproxy -v >haproxy.version.new
cmp -s haproxy.version.new haproxy.version || rm -f haproxy.cfg
mv haproxy.version.new haproxy.version
until [ -e haproxy.cfg ]; do sleep 0.1; done
haproxy -W -S "$PWD/master.sock,mode,600" -f "$PWD/haproxy.cfg" "$@" &
wait $!
