#!/bin/sh
# Prints the table of embedded files that api/assets.c includes: assets.sh KEEPER [FILE]...
# A row is ASSET(number, address, file, content type, bytes, hash); row 0 is the keeper, which has no address.
set -eu

content_type() {
    case $1 in
    *.html) echo 'text/html; charset=utf-8' ;;
    *.css) echo 'text/css; charset=utf-8' ;;
    *.js) echo 'text/javascript; charset=utf-8' ;;
    *.json) echo 'application/json' ;;
    *.yaml) echo 'application/yaml' ;;
    *.svg) echo 'image/svg+xml' ;;
    */LICENSE) echo 'text/plain; charset=utf-8' ;;
    *) echo 'application/octet-stream' ;;
    esac
}

# The page's libraries are served under short names, so that the page says nothing of how a package is laid out.
address() {
    case $1 in
    web/index.html) echo / ;;
    web/node_modules/htm/preact/standalone.module.js) echo /web/vendor/htm.js ;;
    web/node_modules/uplot/dist/uPlot.esm.js) echo /web/vendor/uplot.js ;;
    web/node_modules/uplot/dist/uPlot.min.css) echo /web/vendor/uplot.css ;;
    web/node_modules/swagger-ui-dist/swagger-ui-bundle.js) echo /web/vendor/swagger.js ;;
    web/node_modules/swagger-ui-dist/swagger-ui.css) echo /web/vendor/swagger.css ;;
    web/node_modules/*/LICENSE)
        package=${1#web/node_modules/}
        echo "/web/vendor/${package%/LICENSE}-license.txt" ;;
    *) echo "/$1" ;;
    esac
}

# Our own code goes without comments and indentation, but with every line, so that an error names the line of the source. A
# comment has its lines to itself, or stands behind two blanks.
bare() {
    case $1 in
    web/node_modules/*) echo "$1" ;;
    web/*.js | web/*.css)
        mkdir -p "$build/${1%/*}"
        awk '{ sub(/^ +/, ""); sub(/  +\/\/ .*/, "") } /^\/\*/ { comment = 1 } { print comment || /^\/\// ? "" : $0 } /\*\// { comment = 0 }' "$1" > "$build/$1"
        echo "$build/$1" ;;
    *) echo "$1" ;;
    esac
}

row() {
    printf 'ASSET(%d, "%s", "%s", "%s", %d, "%.16s")\n' \
        "$1" "$2" "$3" "$4" "$(stat -c %s "$3")" "$(sha256sum < "$3")"
}

build=$(dirname "$1")
row 0 '' "$1" application/octet-stream
shift
number=1
for file; do
    row "$number" "$(address "$file")" "$(bare "$file")" "$(content_type "$file")"
    number=$((number + 1))
done
