# What the shell examples need: the daemon's address in $URL, and `fk`, a curl that shows the token.
# To be read by a script with `.`; the variables are those of forkful.py.
URL=${FORKFUL_URL:-http://127.0.0.1:8717}
if [ -z "${FORKFUL_TOKEN:-}" ]; then
    state=${XDG_STATE_HOME:-$HOME/.local/state}/forkful
    [ "$(id -u)" != 0 ] || state=/var/lib/forkful
    FORKFUL_TOKEN=$(cat "${FORKFUL_TOKEN_FILE:-$state/token}")
fi

fk() { curl -sS --fail-with-body --noproxy '*' -H "Authorization: Bearer $FORKFUL_TOKEN" "$@"; }
fk_json() { fk -H 'Content-Type: application/json' "$@"; }

# spawn JSON: makes the process and says its id.
spawn() { fk_json "$URL/v1/processes" -d "$1" | grep -o '"id":"p_[0-9a-z]*' | cut -d '"' -f 4; }

# join ID: waits for its end.
join() {
    until fk "$URL/v1/processes/$1/join?wait=60" | grep -q '"alive":false'; do :; done
}
