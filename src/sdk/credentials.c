#include "sdk/credentials.h"

#include "sdk/error.h"
#include "util/array.h"
#include "util/clock.h"
#include "util/path.h"
#include "wire/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 256 << 10 };

bool credentials_valid(const char *token)
{
    if (!*token)
        return false;
    for (; *token; token++) {
        if (*token <= ' ' || *token >= 0x7f)
            return false;
    }
    return true;
}

void credentials_done(struct credentials *c)
{
    secret_done(&c->token);
    free(c->organization_id);
    free(c->api_url);
    *c = (struct credentials){0};
}

static const char *env(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

static int set_string(char **to, const char *value)
{
    if (!value || !*value)
        return 0;
    free(*to);
    *to = strdup(value);
    return *to ? 0 : -ENOMEM;
}

static int take_key(struct credentials *c, const char *key)
{
    if (!credentials_valid(key))
        return error_set(-EINVAL, "the API key has characters that no key has");
    return secret_set(&c->token, key, "");
}

static int take_jwt(struct credentials *c, const char *jwt, const char *organization)
{
    int r;

    if (!organization || !*organization)
        return error_set(-EINVAL, "a JWT needs the organization: set DAYTONA_ORGANIZATION_ID");
    if (!credentials_valid(jwt) || !credentials_valid(organization))
        return error_set(-EINVAL, "the JWT or the organization has characters that none has");
    r = secret_set(&c->token, jwt, "");
    return r < 0 ? r : set_string(&c->organization_id, organization);
}

/* The whole file, NUL-ended, in memory that is wiped by secret_done. 0 or -errno of the calls. */
static int read_secret_file(int fd, struct secret *ret)
{
    char chunk[4096];
    struct secret text = {0};
    size_t total = 0;
    int r;

    r = secret_set(&text, "", "");
    while (r == 0) {
        struct secret longer = {0};
        const ssize_t n = read(fd, chunk, sizeof(chunk) - 1);

        if (n == 0)
            break;
        r = n < 0 ? -errno : 0;
        total += n > 0 ? (size_t)n : 0;
        if (r == 0 && (total > FILE_MAX || memchr(chunk, '\0', (size_t)n)))
            r = -EINVAL;
        if (r < 0)
            break;
        chunk[n] = '\0';
        r = secret_set(&longer, text.text, chunk);
        secret_done(&text);
        text = longer;
    }
    explicit_bzero(chunk, sizeof(chunk));
    if (r < 0)
        secret_done(&text);
    else
        *ret = text;
    return r;
}

/* What a credentials file may say. */
enum file_key { KEY_API_KEY, KEY_JWT, KEY_ORGANIZATION, KEY_API_URL, KEY_COUNT };

static const struct {
    const char *name;
    enum file_key key;
} file_keys[] = {
    {"api_key", KEY_API_KEY},
    {"DAYTONA_API_KEY", KEY_API_KEY},
    {"jwt", KEY_JWT},
    {"DAYTONA_JWT_TOKEN", KEY_JWT},
    {"organization_id", KEY_ORGANIZATION},
    {"DAYTONA_ORGANIZATION_ID", KEY_ORGANIZATION},
    {"api_url", KEY_API_URL},
    {"DAYTONA_API_URL", KEY_API_URL},
};

static const char blanks[] = " \t\r";

static char *trim(char *s)
{
    size_t n;

    s += strspn(s, blanks);
    n = strlen(s);
    while (n > 0 && strchr(blanks, s[n - 1]))
        s[--n] = '\0';
    if (n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n - 1] == s[0]) {
        s[n - 1] = '\0';
        s++;
    }
    return s;
}

/* Cuts text into values, which point into it. */
static int parse_file(char *text, const char *path, const char *values[KEY_COUNT])
{
    char *line, *save = NULL;

    for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *name = line + strspn(line, blanks), *equals;
        size_t i;

        if (!*name || *name == '#')
            continue;
        if (strncmp(name, "export ", 7) == 0)
            name += 7;
        equals = strchr(name, '=');
        if (!equals) { /* a bare key */
            values[KEY_API_KEY] = trim(name);
            continue;
        }
        *equals = '\0';
        name = trim(name);
        for (i = 0; i < ARRAY_LEN(file_keys); i++) {
            if (strcmp(name, file_keys[i].name) == 0)
                break;
        }
        if (i == ARRAY_LEN(file_keys)) /* the name may be half a key: it is not shown */
            return error_set(-EINVAL,
                             "%s: a line is none of api_key, jwt, organization_id, api_url", path);
        values[file_keys[i].key] = trim(equals + 1);
    }
    return 0;
}

static int check_owner(int fd, const char *path)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_set(-errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return error_set(-EINVAL, "%s: not a regular file", path);
    if (st.st_mode & 077)
        return error_set(-EACCES, "%s: others may read it; chmod 600 it", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return error_set(-EACCES, "%s: it belongs to somebody else", path);
    return 0;
}

static int from_file(const char *path, struct credentials *c)
{
    const char *values[KEY_COUNT] = {0};
    struct secret text = {0};
    int fd, r;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return error_set(-errno, "%s: %s", path, strerror(errno));
    r = check_owner(fd, path);
    if (r < 0)
        goto out;
    r = read_secret_file(fd, &text);
    if (r < 0) {
        error_set(r, "%s: it cannot be read as text", path);
        goto out;
    }
    r = parse_file(text.text, path, values);
    if (r < 0)
        goto out;
    if (values[KEY_API_KEY])
        r = take_key(c, values[KEY_API_KEY]);
    else if (values[KEY_JWT])
        r = take_jwt(c, values[KEY_JWT], values[KEY_ORGANIZATION]);
    else
        r = error_set(-ENOKEY, "%s: it holds no api_key", path);
    if (r == 0)
        r = set_string(&c->api_url, values[KEY_API_URL]);
out:
    secret_done(&text);
    close(fd);
    return r;
}

/* Where the Daytona CLI keeps its login; a new string, or NULL. */
static char *profile_path(void)
{
    const char *dir = env("DAYTONA_CONFIG_DIR");
    const char *base = dir ? dir : env("XDG_CONFIG_HOME");
    const char *home = env("HOME");
    char *config, *path;

    if (dir)
        return path_join(dir, "config.json");
    if (base)
        return path_join(base, "daytona/config.json");
    if (!home)
        return NULL;
    config = path_join(home, ".config");
    path = config ? path_join(config, "daytona/config.json") : NULL;
    free(config);
    return path;
}

static int take_profile(const struct wire_profile *p, struct credentials *c)
{
    int r;

    if (p->api_key[0]) {
        r = take_key(c, p->api_key);
    } else if (!p->token[0]) {
        return -ENOKEY;
    } else if (p->token_expires_ns < clock_real_ns()) {
        return error_set(-EACCES, "the Daytona CLI's login has expired: run `daytona login`, or "
                                  "set DAYTONA_API_KEY");
    } else {
        r = take_jwt(c, p->token, p->organization_id);
    }
    return r < 0 ? r : set_string(&c->api_url, p->api_url);
}

/* -ENOKEY whatever is wrong with the file: it is not ours, and only one place to look. */
static int from_profile(struct credentials *c)
{
    struct wire_profile p;
    struct secret text = {0};
    char *path = profile_path();
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
    int r = -ENOKEY;

    free(path);
    if (fd < 0)
        return -ENOKEY;
    if (read_secret_file(fd, &text) == 0 &&
        wire_profile_read(text.text, strlen(text.text), &p) == 0) {
        r = take_profile(&p, c);
        wire_profile_done(&p);
    }
    secret_done(&text);
    close(fd);
    return r;
}

static int find(const struct daytona_config *config, struct credentials *c)
{
    const char *organization =
        config->organization_id ? config->organization_id : env("DAYTONA_ORGANIZATION_ID");
    int r;

    if (config->api_key)
        return take_key(c, config->api_key);
    if (config->jwt)
        return take_jwt(c, config->jwt, organization);
    if (config->credentials_file)
        return from_file(config->credentials_file, c);
    if (env("DAYTONA_API_KEY"))
        return take_key(c, env("DAYTONA_API_KEY"));
    if (env("DAYTONA_JWT_TOKEN"))
        return take_jwt(c, env("DAYTONA_JWT_TOKEN"), organization);
    r = from_profile(c);
    if (r == -ENOKEY)
        return error_set(-ENOKEY, "no credential: set DAYTONA_API_KEY, name a credentials file, or "
                                  "log in with the Daytona CLI");
    return r;
}

int credentials_find(const struct daytona_config *config, struct credentials *ret)
{
    struct credentials c = {0};
    const int r = find(config, &c);

    if (r < 0) {
        credentials_done(&c);
        return error_default(r);
    }
    *ret = c;
    return 0;
}
