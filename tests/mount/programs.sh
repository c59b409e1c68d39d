# make, sqlite3 and a Python virtual environment on the mount.
. "$(dirname "$0")/lib.sh"

if have make && have cc; then
    mkdir prog
    printf 'int twice(int x);\nint main(void) { return twice(21) == 42 ? 0 : 1; }\n' >prog/main.c
    printf 'int twice(int x);\nint twice(int x) { return 2 * x; }\n' >prog/twice.c
    printf 'prog: main.o twice.o\n\t$(CC) -o $@ $^\n%%.o: %%.c\n\t$(CC) -c -o $@ $<\n' \
        >prog/Makefile
    check "make" make -s -C prog
    check "what was built runs" prog/prog
    is "make has nothing to do" "$(make -C prog | grep -c 'up to date')" 1
    sleep 1.2
    is "nor later" "$(make -C prog | grep -c 'up to date')" 1
    touch prog/twice.c
    check "make rebuilds what changed" sh -c 'make -C prog | grep -q twice.c'
    echo 'prog/prog && echo works' >.ctl/run
    is "it runs in the sandbox" "$(cat .ctl/run)" works
fi

if have sqlite3; then
    sqlite3 db 'create table t(x integer primary key, y text);'
    i=0
    while [ $i -lt 20 ]; do
        i=$((i + 1))
        sqlite3 db "insert into t(y) values('row $i');"
    done
    is "sqlite3 counts" "$(sqlite3 db 'select count(*) from t')" 20
    integrity='select count(*) from t; pragma integrity_check'
    is "sqlite3 in the sandbox" "$(sqlite3 "$SBX/db" "$integrity")" "20
ok"
    sqlite3 db 'begin; delete from t; rollback;'
    is "a rollback" "$(sqlite3 db "$integrity")" "20
ok"
fi

if have python3 && python3 -c 'import venv, ensurepip' 2>/dev/null; then
    check "python3 -m venv" python3 -m venv --without-pip env
    is "its python runs" \
        "$(env/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)')" True
    is "its links show as they were made" "$(readlink env/bin/python)" \
        "$(readlink "$SBX/env/bin/python")"
fi
