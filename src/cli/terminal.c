#include "cli/terminal.h"

#include "util/array.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { CTRL_C = 3 };

static struct termios before;
static volatile sig_atomic_t raw_fd = -1;

void terminal_restore(void)
{
    const int fd = raw_fd;

    raw_fd = -1;
    if (fd >= 0)
        (void)tcsetattr(fd, TCSADRAIN, &before); /* a terminal that is gone has nothing to lose */
}

/* Only what a signal handler may call. */
static void restore_and_die(int sig)
{
    terminal_restore();
    raise(sig); /* SA_RESETHAND: now as ever */
}

int terminal_raw(int fd)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    struct sigaction action = {.sa_handler = restore_and_die, .sa_flags = SA_RESETHAND};
    struct termios t;

    if (raw_fd < 0 && tcgetattr(fd, &before) < 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        (void)sigaction(faults[i], &action, NULL);
    t = before;
    cfmakeraw(&t);
    raw_fd = fd;
    return tcsetattr(fd, TCSADRAIN, &t) < 0 ? -errno : 0;
}

bool terminal_size(int fd, unsigned *ret_cols, unsigned *ret_rows)
{
    struct winsize size;

    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
        return false;
    *ret_cols = size.ws_col;
    *ret_rows = size.ws_row;
    return true;
}

/* A line without its newline. */
static int read_line(int fd, char **ret)
{
    char line[4096];
    size_t n = 0;
    int r = 0;

    while (n < sizeof(line) - 1) {
        const ssize_t got = read(fd, line + n, 1);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 && n == 0)
            r = got < 0 ? -errno : -ECANCELED;
        if (got > 0 && line[n] == CTRL_C)
            r = -ECANCELED;
        if (got <= 0 || line[n] == '\n' || line[n] == CTRL_C)
            break;
        n++;
    }
    line[n] = '\0';
    if (r == 0) {
        *ret = strdup(line);
        r = *ret ? 0 : -ENOMEM;
    }
    explicit_bzero(line, sizeof(line));
    return r;
}

int terminal_ask(const char *question, bool secret, char **ret)
{
    const int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    struct termios shown, hidden;
    bool changed = false;
    int r;

    if (fd < 0)
        return -ENXIO;
    dprintf(fd, "%s: ", question);
    if (secret && tcgetattr(fd, &shown) == 0) {
        hidden = shown;
        /* Ctrl-C ends the line instead of a program that would leave the terminal dark. */
        hidden.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
        hidden.c_cc[VEOL] = CTRL_C;
        changed = tcsetattr(fd, TCSAFLUSH, &hidden) == 0;
    }
    r = read_line(fd, ret);
    if (changed) {
        (void)tcsetattr(fd, TCSAFLUSH, &shown);
        dprintf(fd, "\n");
    }
    close(fd);
    return r;
}
