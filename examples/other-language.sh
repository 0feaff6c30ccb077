# shellcheck shell=bash
# What the runs of services in other languages share: the library as a newcomer installs it, an authority and SVIDs, a service, and
# requests to it as the permitted, the denied and an attacker. Sourced by each `run`.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
[[ $target = /* ]] || target=$root/$target
policy=$root/examples/five-workloads/policy.toml

# needs PROGRAM HOW-TO-GET-IT: status 3 where it is missing.
needs() { command -v "$1" >/dev/null || { echo "no $1 here: $2" >&2; exit 3; }; }

# Builds the library and installs it into an empty prefix, where pkg-config finds it from then on.
install_ztl() {
    needs cargo "install Rust with rustup"
    needs pkg-config "install it with the system's packages"
    prefix=$1
    rm -rf -- "$prefix"
    (cd "$root" && cargo build -q --locked -p ztl-ffi)
    "$root/ztl-ffi/install" --prefix "$prefix" --from "$target/debug" >&2
    export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
}

# Ends the service, by its id.
# shellcheck disable=SC2329 # called by the trap
finish() {
    local status=$?
    trap - EXIT
    [[ -z ${server:-} ]] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
    ((status == 0)) || cat "$folder/log" >&2 2>/dev/null || true
    rm -rf -- "$folder"
    exit "$status"
}

key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

authority() {
    key "$1.key"
    openssl req -x509 -new -key "$1.key" -subj "/CN=$(basename "$1")" -days 1 -out "$1.pem" \
        -addext keyUsage=critical,keyCertSign,cRLSign
}

# svid NAME PATH AUTHORITY: an X.509-SVID.
svid() {
    key "$folder/$1.key"
    openssl req -new -key "$folder/$1.key" -subj / -out "$folder/$1.csr"
    openssl x509 -req -in "$folder/$1.csr" -CA "$3.pem" -CAkey "$3.key" -days 1 -out "$folder/$1.pem" -extfile <(
        printf '%s\n' "subjectAltName=critical,URI:spiffe://prod.example/$2" basicConstraints=critical,CA:FALSE \
            keyUsage=critical,digitalSignature extendedKeyUsage=serverAuth,clientAuth
    ) 2>/dev/null
}

# start WORKLOAD HOST COMMAND...: the service, with `FOLDER POLICY HOST PORT` after the command; returns when it answers.
start() {
    needs curl "install it with the system's packages"
    needs openssl "install it with the system's packages"
    workload=$1 host=$2 port=18443
    shift 2
    folder=$(mktemp -d)
    trap finish EXIT
    trap 'exit 130' INT TERM
    authority "$folder/bundle"
    authority "$folder/other"
    svid model-server ns/models/sa/model-server "$folder/bundle"
    svid vector-store ns/data/sa/vector-store "$folder/bundle"
    svid retriever ns/agents/sa/retriever "$folder/bundle"
    svid router ns/agents/sa/router "$folder/bundle"
    svid deployer ns/operations/sa/deployer "$folder/bundle"
    svid forged ns/agents/sa/retriever "$folder/other"
    "$@" "$folder" "$policy" "$host" "$port" >"$folder/log" 2>&1 &
    server=$!
    wrong=0 permitted=()
    for _ in $(seq 100); do
        if curl -sk -o /dev/null --max-time 2 --interface 127.0.30.2 --cert "$folder/retriever.pem" --key "$folder/retriever.key" \
            "https://$host:$port/"; then
            return
        fi
        kill -0 "$server" 2>/dev/null || { echo "the service ended" >&2; exit 1; }
        sleep 0.1
    done
    echo "the service does not answer" >&2
    exit 1
}

# ask WANTED WHO FROM METHOD TARGET BODY WHAT: 000 is a connection that the service, which goes on, ended without an answer.
ask() {
    local certificate=() got status=0
    ((${#permitted[@]} > 0)) || [[ $1 != 200 ]] || permitted=("${@:1:6}")
    [[ $2 = nobody ]] || certificate=(--cert "$folder/$2.pem" --key "$folder/$2.key")
    got=$(curl -sk --path-as-is --max-time 10 --interface "$3" "${certificate[@]}" -X "$4" -H 'content-type: application/json' \
        -d "$6" -o "$folder/answer" -w '%{http_code}' "https://$host:$port$5") || status=$?
    if [[ $got = 000 ]]; then
        # curl says that of whatever fails. The service ended the handshake (35), or the connection: before it answered (52), while the
        # request was sent (55) or the answer awaited (56), or under HTTP/2 (16, 92).
        case $status in
            16 | 35 | 52 | 55 | 56 | 92) ;;
            *) got="curl's status $status" ;;
        esac
        kill -0 "$server" 2>/dev/null || got="000, but the service ended"
    fi
    printf '%-5s %s  %s\n' "$([[ $got = "$1" ]] && echo ok || echo WRONG)" "$got" "$7"
    [[ $got = "$1" ]] || wrong=1
}

# answered TEXT: the last answer has it.
answered() {
    grep -qF -- "$1" "$folder/answer" && return
    echo "WRONG the answer is not \`$1\` but: $(cat "$folder/answer")"
    wrong=1
}

# Says what the audit has, and ends with what was wrong. Who was permitted first still is: a service that answers nobody denies nobody.
told() {
    local denials
    ask "${permitted[@]}" "who was permitted first is still permitted"
    denials=$(grep -c '"verdict":"deny"' "$folder/$workload.jsonl")
    echo "the audit has $denials denials"
    ((denials > 0)) || wrong=1
    exit "$wrong"
}
