/* errtext.h - errno as names and sentences, and back from the sentences other programs print. */
#ifndef UTIL_ERRTEXT_H
#define UTIL_ERRTEXT_H

/* Both take an errno of either sign. Static strings; thread-safe. */
const char *errtext_name(int err);     /* "EACCES"; "E?" for none */
const char *errtext_sentence(int err); /* "Permission denied" */

/*
 * Finds the errno whose C-locale text ends the message ("mv: cannot move 'a': Permission denied",
 * Go's lower-case form too; trailing blanks are skipped). Returns a negative errno, or 0 when the
 * message says nothing known.
 */
int errtext_parse(const char *message);

#endif
