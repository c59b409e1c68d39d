/* server.c - one server: its configuration, its socket, its sandboxes, from start to end. */
#include "server/server.h"

#include "server/request.h"
#include "server/server_internal.h"

#include "util/clock.h"
#include "util/errtext.h"
#include "util/log.h"
#include "util/path.h"
#include "util/random.h"
#include "wire/sandbox.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1024,
    KEY_DIGITS = 48,
    IDLE_TIMEOUT_S = 300,
    THREAD_STACK = 1 << 20,
    CONNECTION_MEMORY = 128 << 10, /* headers, and the window of bodies */
    TICK_S = 10,                   /* or less, if a minute was made shorter */
    TICKS_A_MINUTE = 6,
};

/* ---- the state directory ---- */

/* What sandboxes keep may be set-user-id, or open to all who get there: nobody else does, even if
 * the state directory was there and is open. */
static int make_private(const struct server *s, const char *name)
{
    char *path = path_join(s->state_dir, name);
    int r = path ? path_make_dirs(path, 0700) : -ENOMEM;

    if (r == 0 && chmod(path, 0700) < 0)
        r = -errno;
    free(path);
    return r;
}

static int open_state(struct server *s, const char *dir, struct buf *why)
{
    char *path = NULL, *cwd = NULL;
    int r;

    if (!dir || !*dir) {
        (void)buf_puts(why, "no state directory was given");
        return -EINVAL;
    }
    cwd = getcwd(NULL, 0);
    s->state_dir = cwd ? path_resolve(cwd, dir) : NULL;
    free(cwd);
    if (!s->state_dir)
        return -ENOMEM;
    r = path_make_dirs(s->state_dir, 0700);
    if (r == 0)
        r = make_private(s, "sandboxes");
    if (r == 0)
        r = make_private(s, "catalog");
    if (r == 0)
        s->mountpoint = path_join(s->state_dir, "root");
    if (r == 0)
        r = s->mountpoint ? path_make_dirs(s->mountpoint, 0700) : -ENOMEM;
    path = path_join(s->state_dir, "lock");
    if (r == 0 && !path)
        r = -ENOMEM;
    if (r == 0) {
        s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (s->lock_fd < 0)
            r = -errno;
        else if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
            r = errno == EWOULDBLOCK ? -EBUSY : -errno;
    }
    if (r == -EBUSY)
        (void)buf_printf(why, "%s is in use by another server", s->state_dir);
    else if (r < 0)
        (void)buf_printf(why, "cannot use %s: %s", s->state_dir, errtext_sentence(r));
    free(path);
    return r;
}

static int check_key(const char *key, size_t len, struct buf *why)
{
    bool good = len >= 8 && len <= 512;

    for (size_t i = 0; good && i < len; i++)
        good = key[i] > 0x20 && key[i] < 0x7f;
    if (good)
        return 0;
    (void)buf_puts(why, "the key must be 8 to 512 printable characters without blanks");
    return -EINVAL;
}

/* STATE/key: read if it is there, else made. */
static int own_key(struct server *s, struct buf *why)
{
    char text[600], digits[KEY_DIGITS + 1];
    ssize_t n;
    int fd, r = 0;

    s->key_file = path_join(s->state_dir, "key");
    if (!s->key_file)
        return -ENOMEM;
    fd = open(s->key_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        r = -errno;
        (void)buf_printf(why, "cannot open %s: %s", s->key_file, errtext_sentence(r));
        return r;
    }
    n = read(fd, text, sizeof(text) - 1);
    if (n <= 0) {
        r = random_hex(digits, KEY_DIGITS);
        n = r < 0 ? 0 : snprintf(text, sizeof(text), "dtn_%s\n", digits);
        if (r == 0 && pwrite(fd, text, (size_t)n, 0) != n)
            r = -EIO;
    }
    close(fd);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        n--;
    if (r == 0)
        r = check_key(text, (size_t)n, why);
    if (r == 0) {
        s->key = strndup(text, (size_t)n);
        if (!s->key)
            r = -ENOMEM;
    }
    return r;
}

static int take_key(struct server *s, const struct server_config *config, struct buf *why)
{
    int r;

    if (!config->key)
        return own_key(s, why);
    r = check_key(config->key, config->key_len, why);
    if (r < 0)
        return r;
    s->key = strndup(config->key, config->key_len);
    s->key_file = strdup("");
    return s->key && s->key_file ? 0 : -ENOMEM;
}

static int take_origin(struct server *s, const char *public_url, struct buf *why)
{
    size_t n;

    if (!public_url) {
        s->origin = strdup(s->url);
    } else {
        n = strlen(public_url);
        while (n > 0 && public_url[n - 1] == '/')
            n--;
        if (strncmp(public_url, "http://", 7) != 0 && strncmp(public_url, "https://", 8) != 0) {
            (void)buf_printf(why, "--public-url %s: http://HOST:PORT is wanted", public_url);
            return -EINVAL;
        }
        s->origin = strndup(public_url, n);
    }
    return s->origin ? 0 : -ENOMEM;
}

/* ---- sandboxes at the start ---- */

static bool folder_name_valid(const char *name)
{
    const size_t n = strlen(name);

    return n >= 1 && n <= 63 && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

static int add_folder(struct server *s, const struct server_folder *f, struct buf *why)
{
    const struct wire_create params = {.name = (char *)f->name,
                                       .auto_stop_min = JSON_ABSENT,
                                       .auto_archive_min = JSON_ABSENT,
                                       .auto_delete_min = JSON_ABSENT,
                                       .auto_pause_min = JSON_ABSENT,
                                       .ttl_min = JSON_ABSENT};
    struct sandbox *sb;
    struct stat st;
    char *dir;
    int r = 0;

    if (!folder_name_valid(f->name)) {
        (void)buf_printf(why, "--sandbox %s: a name has letters, digits, '.', '_' and '-'",
                         f->name);
        return -EINVAL;
    }
    dir = realpath(f->dir, NULL);
    if (!dir || stat(dir, &st) < 0 || !S_ISDIR(st.st_mode)) {
        r = dir ? -ENOTDIR : -errno;
        (void)buf_printf(why, "--sandbox %s=%s: %s", f->name, f->dir, errtext_sentence(r));
        free(dir);
        return r;
    }
    lock_take(&s->lock);
    sb = sandbox_find_locked(s, NULL, f->name);
    if (sb && strcmp(sb->folder, dir) != 0)
        r = -EEXIST;
    else if (sb)
        sb->run = true;
    lock_drop(&s->lock);
    if (r == -EEXIST)
        (void)buf_printf(
            why,
            "--sandbox %s=%s: that name is taken, its folder is %s: use another name or "
            "another --state",
            f->name, f->dir, sb->folder);
    else if (!sb)
        r = sandbox_create(s, &params, dir, &sb);
    if (r == 0) {
        lock_take(&s->lock);
        sb->run = true;
        lock_drop(&s->lock);
    }
    sandbox_unref(sb);
    free(dir);
    return r;
}

static struct sandbox *next_to_run(struct server *s)
{
    struct sandbox *sb;

    lock_take(&s->lock);
    for (sb = s->sandboxes; sb && !(sb->run && sb->state == SB_STOPPED); sb = sb->next)
        ;
    if (sb)
        sandbox_ref_locked(sb);
    lock_drop(&s->lock);
    return sb;
}

/* Also what finds out, before the first request, that isolation is not possible here. */
static int try_isolation(struct server *s, struct buf *why)
{
    struct jail_config config = {.mountpoint = s->mountpoint, .hostname = "probe", .isolate = true};
    struct buf step = BUF_INIT(256);
    struct jail *jail = NULL;
    int r;

    config.folder = config.tmp = config.var_tmp = s->state_dir;
    r = jail_start(&config, &jail, &step);
    if (r == 0) {
        jail_end(jail);
        jail_unref(jail);
    } else {
        (void)buf_printf(why,
                         "sandboxes cannot be isolated here (%s): run as root or allow user "
                         "namespaces, or use --no-isolation if what runs in them is trusted",
                         buf_str(&step));
        r = -EPERM;
    }
    buf_done(&step);
    return r;
}

static bool is_wanted(const struct server_config *config, const struct sandbox *sb)
{
    for (size_t i = 0; i < config->folder_count; i++) {
        if (strcmp(config->folders[i].name, sb->name) == 0)
            return true;
    }
    return false;
}

static int start_sandboxes(struct server *s, const struct server_config *config, struct buf *why)
{
    struct sandbox *sb;
    int r = 0;

    for (size_t i = 0; i < config->folder_count; i++) {
        r = add_folder(s, &config->folders[i], why);
        if (r < 0)
            return r;
    }
    while (r == 0 && (sb = next_to_run(s))) {
        struct buf reason = BUF_INIT(512);

        r = sandbox_start(sb, &reason);
        if (r == 0) {
            sandbox_wait_settled(sb, clock_mono_ns() + 30 * NS_PER_S);
        } else if (is_wanted(config, sb)) {
            (void)buf_printf(why, "--sandbox %s=%s cannot be started: %s", sb->name, sb->folder,
                             buf_str(&reason));
        } else {
            /* It is there and stopped: one lost folder must not keep the others from starting. */
            log_msg(LOG_WARN, "sandbox %s (%s) stays stopped: %s", sb->name, sb->folder,
                    buf_str(&reason));
            lock_take(&s->lock);
            sb->run = false;
            lock_drop(&s->lock);
            r = 0;
        }
        buf_done(&reason);
        sandbox_unref(sb);
    }
    return r;
}

/* ---- what happens by itself ---- */

static void *tick(void *arg)
{
    struct server *s = arg;
    struct fault_settings settings;
    bool stopping = false;

    while (!stopping) {
        int64_t step, until;

        if (sandbox_do_due(s))
            continue;
        fault_settings(s->fault, &settings);
        step = settings.minute_ns / TICKS_A_MINUTE;
        until = clock_mono_ns() + (step < TICK_S * NS_PER_S ? step : TICK_S * NS_PER_S);
        lock_take(&s->lock);
        while (!s->stopping && lock_wait_until(&s->lock, &s->changed, until) != -ETIMEDOUT)
            ;
        stopping = s->stopping;
        lock_drop(&s->lock);
    }
    return NULL;
}

/* ---- start and end ---- */

static int listen_http(struct server *s, int fd)
{
    s->mhd = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
            MHD_ALLOW_UPGRADE,
        0, NULL, NULL, request_handle, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK,
        request_log_uri, s, MHD_OPTION_NOTIFY_COMPLETED, request_completed, s,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    return s->mhd ? 0 : -EIO;
}

static void ignore_sigpipe(void)
{
    struct sigaction old;

    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN);
}

int server_start(const struct server_config *config, struct server **ret, struct buf *why)
{
    struct server *s;
    int fd = -1, r;

    s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    ignore_sigpipe();
    lock_init(&s->live);
    lock_init(&s->lock);
    lock_cond_init(&s->changed);
    s->lock_fd = -1;
    s->isolate = !config->no_isolation;
    s->new_daemon = config->new_daemon;
    r = fault_new(&s->fault);
    if (r == 0)
        r = fault_set(s->fault, config->fault, why);
    if (r == 0)
        r = listen_loopback(config->listen ? config->listen : "127.0.0.1:0", &fd, s->url, why);
    if (r == 0)
        r = take_origin(s, config->public_url, why);
    if (r == 0)
        r = open_state(s, config->state_dir, why);
    if (r == 0)
        r = take_key(s, config, why);
    if (r == 0)
        r = catalog_load(s, why);
    if (r == 0)
        r = store_load(s, why);
    if (r == 0 && s->isolate)
        r = try_isolation(s, why);
    if (r == 0)
        r = start_sandboxes(s, config, why);
    if (r == 0)
        r = listen_http(s, fd);
    if (r == 0)
        fd = -1; /* the library's */
    if (r == 0)
        r = -pthread_create(&s->ticker, NULL, tick, s);
    if (r == 0) {
        s->ticking = true;
        strcat(s->url, "/api");
        *ret = s;
        return 0;
    }
    if (why->len == 0)
        (void)buf_printf(why, "the server could not be started: %s", errtext_sentence(r));
    if (fd >= 0)
        close(fd);
    server_free(s);
    return r;
}

struct server *server_free(struct server *s)
{
    if (!s)
        return NULL;
    lock_take(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->changed);
    lock_drop(&s->lock);
    if (s->fault)
        fault_stop(s->fault);
    if (s->ticking)
        pthread_join(s->ticker, NULL);
    sandbox_end_all(s);
    if (s->mhd)
        MHD_stop_daemon(s->mhd); /* waits for the requests that are being answered */
    sandbox_end_all(s);          /* one may have been starting */
    lock_take(&s->lock);
    while (s->sandboxes) {
        struct sandbox *sb = s->sandboxes;

        s->sandboxes = sb->next;
        sandbox_unref_locked(sb);
    }
    lock_drop(&s->lock);
    links_free(s);
    catalog_free(s);
    fault_free(s->fault);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    if (s->key)
        explicit_bzero(s->key, strlen(s->key));
    free(s->key);
    free(s->key_file);
    free(s->origin);
    free(s->mountpoint);
    free(s->state_dir);
    pthread_cond_destroy(&s->changed);
    lock_done(&s->lock);
    lock_done(&s->live);
    free(s);
    return NULL;
}

const char *server_url(const struct server *s)
{
    return s->url;
}

const char *server_key(const struct server *s)
{
    return s->key;
}

const char *server_key_file(const struct server *s)
{
    return s->key_file;
}

int server_set_fault(struct server *s, const char *spec, struct buf *why)
{
    return fault_set(s->fault, spec, why);
}

int server_fault_help(struct buf *out)
{
    return fault_help(out);
}

int server_describe(struct server *s, struct buf *out)
{
    struct json_out o = {.buf = out};

    json_open(&o, '[');
    lock_take(&s->lock);
    sandbox_sweep_locked(s);
    for (const struct sandbox *sb = s->sandboxes; sb; sb = sb->next) {
        json_open(&o, '{');
        json_key(&o, "id");
        json_string(&o, sb->id);
        json_key(&o, "name");
        json_string(&o, sb->name);
        json_key(&o, "dir");
        json_string(&o, sb->folder);
        json_close(&o, '}');
    }
    lock_drop(&s->lock);
    json_close(&o, ']');
    return o.err;
}
