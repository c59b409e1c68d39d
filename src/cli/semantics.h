/* semantics.h - what a caller may rely on, one promise a row, with the tests that show it. */
#ifndef CLI_SEMANTICS_H
#define CLI_SEMANTICS_H

struct semantics_row {
    const char *when;    /* a call or an event; NULL ends the list */
    const char *promise; /* with the helper and a journal; NULL: when is the heading of a part */
    /*
     * Parted by blanks: X for TEST(X) in tests/unit or for a function X of tests/mount/X.py, X.sh
     * for tests/mount/X.sh. tests/lint knows them.
     */
    const char *tests;
};

extern const struct semantics_row semantics_rows[];

#endif
