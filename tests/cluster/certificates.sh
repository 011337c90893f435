# The cluster's keys, certificates and kubeconfigs, new for every cluster: sourced after rig.sh.
# shellcheck shell=bash

# Elliptic curve keys take milliseconds to make, RSA keys seconds.
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

# Python 3.13 requires the key usage and the identifiers of RFC 5280.
make_ca() {
  mkdir -p "$rig/pki"
  new_key "$rig/pki/ca.key"
  openssl req -x509 -new -key "$rig/pki/ca.key" -days 365 -subj /CN=kubestrace-rig -out "$rig/pki/ca.crt" \
    -addext keyUsage=critical,keyCertSign,cRLSign
  # Service account tokens are signed with a key pair of their own.
  new_key "$rig/pki/sa.key"
  openssl ec -in "$rig/pki/sa.key" -pubout -out "$rig/pki/sa.pub" 2>/dev/null
}

# certificate NAME SUBJECT [SANS]: a leaf for server and client use.
certificate() {
  local file=$rig/pki/$1
  new_key "$file.key"
  openssl req -new -key "$file.key" -subj "$2" |
    openssl x509 -req -CA "$rig/pki/ca.crt" -CAkey "$rig/pki/ca.key" -days 365 -out "$file.crt" \
      -set_serial "0x$(openssl rand -hex 8)" -extfile <(
        echo "keyUsage=critical,digitalSignature"
        echo "extendedKeyUsage=serverAuth,clientAuth"
        echo "subjectKeyIdentifier=hash"
        echo "authorityKeyIdentifier=keyid"
        [ -z "${3:-}" ] || echo "subjectAltName=$3"
      ) 2>/dev/null
}

# kubeconfig NAME FILE: for the certificate of that name, everything in the one file.
kubeconfig() {
  (umask 077 && cat >"$2") <<EOF
apiVersion: v1
kind: Config
current-context: kubestrace-rig
contexts: [{name: kubestrace-rig, context: {cluster: kubestrace-rig, user: $1}}]
clusters:
  - name: kubestrace-rig
    cluster:
      server: https://$control_ip:6443
      certificate-authority-data: $(base64 -w0 "$rig/pki/ca.crt")
users:
  - name: $1
    user:
      client-certificate-data: $(base64 -w0 "$rig/pki/$1.crt")
      client-key-data: $(base64 -w0 "$rig/pki/$1.key")
EOF
}

make_certificates() {
  local name node
  make_ca
  certificate apiserver /CN=kube-apiserver \
    "IP:$control_ip,IP:$service_ip,IP:127.0.0.1,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
  certificate admin /O=system:masters/CN=admin
  kubeconfig admin "$rig/admin.conf"
  for name in kube-controller-manager kube-scheduler kube-proxy; do
    certificate "$name" "/CN=system:$name"
    kubeconfig "$name" "$rig/$name.conf"
  done
  for node in "${nodes[@]}"; do
    certificate "$node" "/O=system:nodes/CN=system:node:$node" "DNS:$node,IP:$(node_ip "$node")"
    kubeconfig "$node" "$rig/$node.conf"
  done
}
