#!/bin/sh
# Makes the certificates of the tests anew; their keys are thrown away, but for one that a test shows in a handshake.
# Needs openssl 3.
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
[anyUsage]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = anyExtendedKeyUsage
[noUsage]
basicConstraints = critical,CA:FALSE
[forA]
subjectAltName = DNS:a.example.org
[forB]
subjectAltName = DNS:b.example.org
[unknown]
1.2.3.4 = critical,ASN1:NULL
[ofA]
basicConstraints = critical,CA:TRUE
nameConstraints = critical,permitted;DNS:a.example.org
[ofServers]
basicConstraints = critical,CA:TRUE
extendedKeyUsage = serverAuth
[last]
basicConstraints = critical,CA:TRUE,pathlen:0
[signsNothing]
basicConstraints = critical,CA:TRUE
keyUsage = critical,digitalSignature
[plain]
[serverAuth]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = serverAuth
END
: >"$work/index"

# certificate NAME SUBJECT EXTENSIONS FROM UNTIL ISSUER...
certificate() {
    name=$1 subject=$2 extensions=$3 from=$4 until=$5
    shift 5
    case ${KEY:-P-256} in
    P-*) openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:${KEY:-P-256}" -out "$work/$name.key" ;;
    RSA-*) openssl genpkey -algorithm RSA -pkeyopt "rsa_keygen_bits:${KEY#RSA-}" -out "$work/$name.key" ;;
    ED25519) openssl genpkey -algorithm ED25519 -out "$work/$name.key" ;;
    *) cp "$KEY" "$work/$name.key" ;;
    esac
    openssl req -new -key "$work/$name.key" -subj "$subject" -config "$work/config" -out "$work/request"
    # Without extensions, openssl makes a certificate of version 1.
    [ "$extensions" = none ] || set -- -extensions "$extensions" "$@"
    openssl ca -batch -notext -config "$work/config" -startdate "$from" -enddate "$until" \
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

openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521.key
KEY=p521.key leaf p521 /CN=p521 client-ca clientAuth $start $end
KEY=p521.key leaf version1 /CN=version1 client-ca none $start $end
KEY=p521.key leaf critical /CN=critical client-ca unknown $start $end
leaf any-usage /CN=any-usage client-ca anyUsage $start $end
leaf no-usage /CN=no-usage client-ca noUsage $start $end
leaf later /CN=later client-ca clientAuth 20980101000000Z $end
KEY=RSA-1024 leaf rsa1024 /CN=rsa1024 client-ca clientAuth $start $end
KEY=RSA-2048 authority rsa-ca /CN=rsa-ca $start $end
leaf below-rsa /CN=below-rsa rsa-ca clientAuth $start $end
KEY=P-521 authority p521-ca /CN=p521-ca $start $end
leaf below-p521 /CN=below-p521 p521-ca clientAuth $start $end
KEY=P-384 authority p384-ca /CN=p384-ca $start $end
leaf below-p384 /CN=below-p384 p384-ca clientAuth $start $end
KEY=ED25519 leaf ed25519 /CN=ed25519 client-ca clientAuth $start $end
certificate version1-ca /CN=version1-ca none $start $end -selfsign -keyfile "$work/version1-ca.key"
leaf below-version1 /CN=below-version1 version1-ca clientAuth $start $end
# Below authorities that may not sign everything. Each name tells what is wrong with it, or what is right.
leaf of-a /CN=of-a client-ca ofA $start $end
leaf a /CN=a of-a forA $start $end
leaf b /CN=b of-a forB $start $end
leaf no-name /CN=no-name of-a clientAuth $start $end
leaf of-servers /CN=of-servers client-ca ofServers $start $end
leaf below-servers /CN=below-servers of-servers clientAuth $start $end
leaf last /CN=last client-ca last $start $end
leaf below-last /CN=below-last last clientAuth $start $end
leaf after-last /CN=after-last last authority $start $end
leaf too-deep /CN=too-deep after-last clientAuth $start $end
leaf signs-nothing /CN=signs-nothing client-ca signsNothing $start $end
leaf below-signs-nothing /CN=below-signs-nothing signs-nothing clientAuth $start $end
leaf below-leaf /CN=below-leaf jane clientAuth $start $end
leaf below-version1-leaf /CN=below-version1-leaf version1 clientAuth $start $end
