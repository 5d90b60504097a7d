#!/bin/sh
# Makes the certificates of the tests anew; their keys are thrown away. Needs openssl 3.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/config" <<END
oid_section = oids
[oids]
kubernetesUID = 1.3.6.1.4.1.57683.2
[ca]
default_ca = ca
[ca]
new_certs_dir = $work
database = $work/index
rand_serial = yes
unique_subject = no
default_md = sha256
preserve = yes
policy = any
[any]
commonName = optional
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[clientAuth]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = clientAuth
[serverAuth]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = serverAuth
END
: >"$work/index"

# certificate NAME SUBJECT EXTENSIONS FROM UNTIL ISSUER...
certificate() {
    name=$1 subject=$2 extensions=$3 from=$4 until=$5
    shift 5
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$name.key"
    openssl req -new -key "$work/$name.key" -subj "$subject" -config "$work/config" -out "$work/request"
    openssl ca -batch -notext -config "$work/config" -extensions "$extensions" -startdate "$from" -enddate "$until" \
        -in "$work/request" -out "$name.pem" "$@"
}

authority() { certificate "$1" "$2" authority "$3" "$4" -selfsign -keyfile "$work/$1.key"; }

# leaf NAME SUBJECT ISSUER USAGE FROM UNTIL
leaf() { certificate "$1" "$2" "$4" "$5" "$6" -cert "$3.pem" -keyfile "$work/$3.key"; }

start=20200101000000Z
end=20991231000000Z
authority client-ca /CN=client-ca $start $end
authority short-ca /CN=short-ca $start 20250101000000Z
authority proxy-ca /CN=proxy-ca $start $end
authority other-ca /CN=other-ca $start $end
leaf intermediate /CN=intermediate client-ca authority $start $end
leaf jane /O=dev/O=ops/CN=jane client-ca clientAuth $start $end
leaf nobody /O=dev client-ca clientAuth $start $end
leaf server /CN=server client-ca serverAuth $start $end
leaf expired /CN=expired client-ca clientAuth $start 20210101000000Z
leaf uid /CN=uid/kubernetesUID=1234 client-ca clientAuth $start $end
leaf uids /CN=uid/kubernetesUID=1/kubernetesUID=2 client-ca clientAuth $start $end
leaf below /CN=below intermediate clientAuth $start $end
leaf short /CN=short short-ca clientAuth $start $end
leaf stranger /CN=stranger other-ca clientAuth $start $end
leaf proxy /CN=front-proxy-client proxy-ca clientAuth $start $end
leaf other-proxy /CN=other-proxy proxy-ca clientAuth $start $end
