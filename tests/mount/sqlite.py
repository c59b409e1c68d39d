"""sqlite.py DATABASE SECONDS PROGRESS: transactions, one after the other, whatever happens.

Writes the number of each transaction that was committed to PROGRESS. An error is what a broken line
may cause; then it goes on with the next number on a new connection.
"""
import sqlite3
import sys
import time

database, seconds, progress = sys.argv[1], float(sys.argv[2]), sys.argv[3]
end = time.monotonic() + seconds
n = errors = committed = 0
db = None
with open(progress, "w") as out:
    while time.monotonic() < end:
        n += 1
        try:
            if db is None:
                db = sqlite3.connect(database, timeout=2, isolation_level=None)
                db.execute("create table if not exists t (n integer primary key, text)")
            db.execute("begin immediate")
            db.execute("insert into t values (?, ?)", (n, "x" * (n * 37 % 5000)))
            if n % 5 == 0:
                db.execute("delete from t where n = ?", (-1,))
            db.execute("commit")
            committed += 1
            print(n, file=out, flush=True)
        except sqlite3.Error as e:
            errors += 1
            try:
                db.close()
            except (sqlite3.Error, AttributeError):
                pass
            db = None
            time.sleep(0.05)
print(f"{committed} committed, {errors} errors")
