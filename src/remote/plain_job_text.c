#include "remote/plain_job.h"

#include "util/base64.h"
#include "util/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { QUICK_LOOKS = 20, QUICK_MS = 50, LOOK_MS = 250, PASSED_MIN = 10, DELETED_MAX = 8 };

static void add_folder(struct shcmd *s, uint32_t uid)
{
    shcmd_add(s, "r=/tmp/.daytonafs-jobs-%" PRIu32 ";", uid);
}

/* In the folder of the job. What is not there has been removed. */
static void add_enter(struct shcmd *s, uint32_t uid, uint64_t id)
{
    add_folder(s, uid);
    shcmd_add(s, "cd \"$r/%" PRIu64 "\" 2>/dev/null&&[ -e meta ]||fail No such file or directory;",
              id);
}

/* A word of base64. */
static void add_word(struct shcmd *s, const void *p, size_t n)
{
    struct buf text = BUF_INIT(SHCMD_MAX);
    const int r = base64_encode(&text, p, n);

    if (r < 0 && s->err == 0)
        s->err = r;
    shcmd_add(s, "%s", buf_str(&text));
    buf_done(&text);
}

static void add_string(struct shcmd *s, const char *string)
{
    if (string && *string)
        add_word(s, string, strlen(string));
    else
        shcmd_add(s, "-");
}

/*
 * Functions for what runs in the job's folder. A process is told from a later one of its number by
 * when it began, the 20th word behind the name in its stat. One without a pid begins just now.
 */
static void add_functions(struct shcmd *s)
{
    shcmd_add(s, "nap(){ sleep \"$1\" 2>/dev/null||sleep 1; };"
                 "sz(){ stat -c %%s \"$1\" 2>/dev/null||echo 0; };"
                 "st(){ set -- $(sed -e \"s/^.*) //\" \"$1\" 2>/dev/null);"
                 "[ $# -ge 20 ]&&shift 19&&echo \"$1\"; };"
                 "alive(){ p=0;if [ -s pid ];then read p q <pid;q=$(st pid);"
                 "[ -n \"$q\" ]&&[ \"$q\" = \"$(st /proc/$p/stat)\" ];"
                 "else [ -n \"$(find . -maxdepth 0 -mmin -1)\" ];fi; };"
                 /* The end of a process and the record of it are not one. */
                 "dead(){ ! alive&&nap 0.3&&! alive&&[ ! -e code ]; };"
                 /* The code first: then the sizes are the last ones. */
                 "look(){ c=;[ ! -e code ]||read c <code;o=$(sz out);e=$(sz err); };");
}

/* n and m: bytes of two files that follow. */
static void add_status(struct shcmd *s)
{
    shcmd_add(s, "a=0;if [ -n \"$c\" ]&&[ -e session ];then rm -f session;a=1;fi;"
                 "y=0;[ ! -e code ]||y=$(stat -c %%Y code);u=0;[ ! -e in ]||[ -e eof ]||u=1;"
                 "p=0;[ ! -s pid ]||read p q <pid;read t b q <meta;"
                 "echo \"$o $e $(sz in) ${c:-r} $b $y $p $u $a $n $m\"|base64 >&3;");
}

void plain_job_add_make(struct shcmd *s, uint32_t uid, const struct remote_job_start *start)
{
    add_folder(s, uid);
    shcmd_add(s,
              "mkdir -m 700 \"$r\" 2>/dev/null;{ [ -d \"$r\" ]&&[ ! -L \"$r\" ]&&[ -O \"$r\" ]; }||"
              "fail Permission denied;cd \"$r\"||exit 1;"
              "for f in $(find . -maxdepth 2 -name code -mmin +%d 2>/dev/null);do "
              "[ ! -e \"${f%%/code}/passing\" ]||rm -rf \"${f%%/code}\";done;"
              "f=$(grep -s -l -e \"^%s \" */meta 2>/dev/null);",
              PASSED_MIN, start->token);
    shcmd_add(s, "if [ -n \"$f\" ];then n=${f%%/meta};else ");
    if (start->name) {
        shcmd_add(s, "! grep -s -q -e \"^[^ ]* [^ ]* ");
        add_string(s, start->name);
        shcmd_add(s, " \" */meta 2>/dev/null||fail File exists;");
    }
    shcmd_add(s, "n=0;[ ! -e last ]||read n <last;n=$((n+1));"
                 "while ! mkdir -m 700 \"$n\" 2>/dev/null;do [ -e \"$n\" ]||mkdir \"$n\"||exit 1;"
                 "n=$((n+1));done;echo \"$n\" >last;");
    if (start->passing)
        shcmd_add(s, ": >\"$n/passing\";");
    if (start->input_open || start->input_len > 0)
        shcmd_add(s, ": >\"$n/in\";");
    shcmd_add(s, "echo \"%s $(date +%%s) ", start->token);
    add_string(s, start->name);
    shcmd_add(s, " ");
    add_string(s, start->line);
    shcmd_add(s, " ");
    add_string(s, start->cwd);
    shcmd_add(s, "\" >\"$n/m\"&&mv \"$n/m\" \"$n/meta\"||exit 1;fi;"
                 "x=0;[ ! -e \"$n/run\" ]||x=1;");
}

/* "$@": the environment, as env takes it, and the command. */
static void add_command(struct shcmd *s, const struct remote_job_start *start, const char *shell,
                        bool file)
{
    const char *const *const lists[] = {start->env, start->argv};

    shcmd_add(s, "set --;");
    for (int i = 0; i < 2; i++) {
        for (const char *const *p = lists[i]; p && *p; p++) {
            shcmd_set(s, "v", *p);
            shcmd_add(s, "set -- \"$@\" \"$v\";");
        }
    }
    if (start->argv)
        return;
    shcmd_set(s, "v", shell);
    if (file) {
        shcmd_add(s, "set -- \"$@\" \"$v\" \"$d/script\";");
        return;
    }
    shcmd_add(s, "x=$(printf %%s \"");
    add_word(s, start->script, strlen(start->script));
    shcmd_add(s, "\"|base64 -d;echo x);set -- \"$@\" \"$v\" -c \"${x%%x}\";");
}

/*
 * A session of its own (setsid) keeps what it leaves behind alive when Daytona's is deleted. Its
 * environment has the token: so all of its processes are found by who sends a signal.
 */
static void add_run(struct shcmd *s, const struct remote_job_start *start, const char *shell,
                    bool file)
{
    add_command(s, start, shell, file);
    shcmd_set(s, "w", start->cwd);
    shcmd_add(s,
              "z=$(command -v setsid);"
              "job(){ cd \"$w\"||exit 125;"
              "exec $z sh -c \"cat /proc/\\$\\$/stat >\\\"\\$0/pid\\\";exec \\\"\\$@\\\"\" \"$d\" "
              "env DAYTONAFS_JOB=%s \"$@\"; };",
              start->token);
    shcmd_add(s, "end(){ echo \"$1\" >\"$d/c\";mv \"$d/c\" \"$d/code\"; };"
                 /* What was there when the end was seen is all. */
                 "feed(){ o=0;while [ ! -e code ];do f=;[ ! -e eof ]||f=1;"
                 "n=$(stat -c %%s in);if [ \"$n\" -gt $o ];then "
                 "tail -c +$((o+1)) in|head -c $((n-o));o=$n;elif [ -n \"$f\" ];then break;"
                 "else sleep 0.1 2>/dev/null||sleep 1;fi;done; };"
                 "if [ -e in ];then feed 2>/dev/null|{ ( job \"$@\" ) >out 2>err 3>&-;end $?; };"
                 "else ( job \"$@\" ) </dev/null >out 2>err 3>&-;end $?;fi;");
}

void plain_job_add_run(struct shcmd *s, uint32_t uid, uint64_t id,
                       const struct remote_job_start *start, const char *shell, bool file)
{
    add_folder(s, uid);
    shcmd_add(s, "d=$r/%" PRIu64 ";cd \"$d\"&&mkdir run 2>/dev/null||exit 0;: >session;", id);
    add_run(s, start, shell, file);
}

static unsigned looks(int64_t wait_ns)
{
    const int64_t ms = wait_ns / NS_PER_MS;

    return (unsigned)(ms <= QUICK_LOOKS * QUICK_MS
                          ? ms / QUICK_MS
                          : QUICK_LOOKS + (ms - QUICK_LOOKS * QUICK_MS) / LOOK_MS);
}

/* Until there is what is wanted ($1 is true), or nothing will come. */
static void add_wait(struct shcmd *s, int64_t wait_ns, const char *wanted)
{
    shcmd_add(s,
              "k=0;while :;do look;[ -z \"$c\" ]||break;"
              "if [ $((k%%20)) = 0 ]&&dead;then look;c=${c:--};break;fi;"
              "{ %s; }&&break;[ $k -lt %u ]||break;k=$((k+1));"
              "if [ $k -lt %d ];then nap 0.%03d;else nap 0.%03d;fi;done;",
              wanted, looks(wait_ns), QUICK_LOOKS, QUICK_MS, LOOK_MS);
}

/* What has come to out and err since is added to both: one asker at a time. */
static void add_order(struct shcmd *s)
{
    shcmd_add(s, "find lock -maxdepth 0 -mmin +1 -exec rmdir lock \";\" 2>/dev/null;"
                 "if mkdir lock 2>/dev/null;then i=0;j=0;[ ! -e seen ]||read i j <seen;"
                 "{ tail -c +$((i+1)) out|head -c $((o-i));tail -c +$((j+1)) err|"
                 "head -c $((e-j)); } >>both 2>/dev/null;echo \"$o $e\" >seen;rmdir lock;fi;");
}

/* n: bytes that there are of a file behind off, at most those left of max. */
static void add_count(struct shcmd *s, const char *n, const char *size, uint64_t off,
                      const char *max)
{
    shcmd_add(
        s, "%s=0;[ %s -le %" PRIu64 " ]||%s=$((%s-%" PRIu64 "));[ $%s -le $((%s)) ]||%s=$((%s));",
        n, size, off, n, size, off, n, max, n, max);
}

static void add_piece(struct shcmd *s, const char *n, const char *file, uint64_t off)
{
    shcmd_add(s, "[ $%s = 0 ]||tail -c +%" PRIu64 " %s|head -c $%s;", n, off + 1, file, n);
}

/* In the job's folder. */
static void add_read(struct shcmd *s, const struct remote_job_read *read)
{
    char wanted[128], max[32], rest[40];

    add_functions(s);
    if (read->together)
        snprintf(wanted, sizeof(wanted), "[ $((o+e)) -gt %" PRIu64 " ]", read->out_off);
    else
        snprintf(wanted, sizeof(wanted), "[ $o -gt %" PRIu64 " ]||[ $e -gt %" PRIu64 " ]",
                 read->out_off, read->err_off);
    add_wait(s, read->wait_ns, wanted);
    snprintf(max, sizeof(max), "%zu", read->max);
    snprintf(rest, sizeof(rest), "%zu-n", read->max);
    if (read->together && read->max > 0) {
        add_order(s);
        add_count(s, "n", "$(sz both)", read->out_off, max);
        shcmd_add(s, "m=0;");
    } else {
        add_count(s, "n", "$o", read->out_off, max);
        add_count(s, "m", "$e", read->err_off, rest);
    }
    add_status(s);
    shcmd_add(s, "echo - >&3;{ ");
    add_piece(s, "n", read->together ? "both" : "out", read->out_off);
    add_piece(s, "m", "err", read->err_off);
    shcmd_add(s, "}|base64 >&3;");
}

void plain_job_add_read(struct shcmd *s, uint32_t uid, uint64_t id,
                        const struct remote_job_read *read)
{
    add_enter(s, uid, id);
    add_read(s, read);
}

/*
 * What runs it becomes a file, so that setsid can fork it: a child in the background of a shell
 * would never hear SIGINT.
 */
void plain_job_add_launch(struct shcmd *s, uint32_t uid, const struct remote_job_start *start,
                          const char *shell, const struct remote_job_read *read)
{
    struct shcmd inner = {.body = BUF_INIT(SHCMD_MAX)};

    if (start->passing && start->input_len == 0 &&
        (!start->script || strlen(start->script) <= PLAIN_JOB_SCRIPT_MAX)) {
        shcmd_add(&inner, "d=$PWD;mkdir run 2>/dev/null||exit 0;");
        add_run(&inner, start, shell, false);
        shcmd_add(s, "if [ $x = 0 ]&&setsid -f true 2>/dev/null;then cd \"$n\"||exit 1;"
                     "printf %%s \"");
        add_word(s, buf_str(&inner.body), inner.body.len);
        shcmd_add(s, "\"|base64 -d >start;setsid -f sh start </dev/null >/dev/null 2>&1 3>&-&&x=1;"
                     "cd ..;fi;");
        if (s->err == 0)
            s->err = inner.err;
        shcmd_done(&inner);
    }
    shcmd_add(s, "echo \"$n $x\"|base64 >&3;[ $x = 1 ]||exit 0;echo - >&3;cd \"$n\"||exit 1;");
    add_read(s, read);
}

void plain_job_add_write(struct shcmd *s, uint32_t uid, uint64_t id,
                         const struct remote_job_write *write, size_t len)
{
    add_enter(s, uid, id);
    add_functions(s);
    shcmd_add(s,
              "look;n=0;m=0;[ -e in ]&&[ -z \"$c\" ]||fail Broken pipe;h=$(sz in);"
              "[ %" PRIu64 " -le $h ]||fail Input/output error;k=$((h-%" PRIu64 "));"
              "if [ $k -lt %zu ];then [ ! -e eof ]||fail Broken pipe;printf %%s \"",
              write->off, write->off, len);
    add_word(s, write->data, len);
    shcmd_add(s, "\"|base64 -d|tail -c +$((k+1)) >>in||exit 1;fi;");
    if (write->end && len == write->len)
        shcmd_add(s, ": >eof;");
    add_status(s);
}

void plain_job_add_kill(struct shcmd *s, uint32_t uid, uint64_t id, int signal)
{
    add_enter(s, uid, id);
    add_functions(s);
    shcmd_add(s,
              "k=0;while [ ! -s pid ]&&[ ! -e code ]&&[ $k -lt 20 ];do nap 0.1;k=$((k+1));done;"
              "[ ! -e code ]&&alive||fail No such process;read t q <meta;g=;"
              "for f in $(grep -s -l -e \"DAYTONAFS_JOB=$t\" /proc/[0-9]*/environ 2>/dev/null);do "
              "f=${f#/proc/};! kill -%d \"${f%%/environ}\" 2>/dev/null||g=1;done;"
              "[ -n \"$g\" ]||kill -%d \"$p\"||fail No such process;",
              signal, signal);
}

void plain_job_add_remove(struct shcmd *s, uint32_t uid, uint64_t id)
{
    add_enter(s, uid, id);
    add_functions(s);
    shcmd_add(s,
              "[ -e code ]||dead||fail Device or resource busy;"
              "a=0;[ ! -e session ]||a=1;cd ..;rm -rf %" PRIu64 "||exit 1;echo $a|base64 >&3;",
              id);
}

void plain_job_add_list(struct shcmd *s, uint32_t uid)
{
    add_folder(s, uid);
    shcmd_add(s, "cd \"$r\" 2>/dev/null||exit 0;");
    add_functions(s);
    shcmd_add(s,
              "h=0;for d in [0-9]*;do [ -e \"$d/run\" ]&&[ -e \"$d/meta\" ]||continue;"
              "c=;[ ! -e \"$d/code\" ]||read c <\"$d/code\";"
              "[ -z \"$c\" ]||[ ! -e \"$d/passing\" ]||continue;"
              "[ -n \"$c\" ]||! ( cd \"$d\"&&dead )||c=-;"
              "p=0;[ ! -s \"$d/pid\" ]||read p q <\"$d/pid\";"
              "u=0;[ ! -e \"$d/in\" ]||[ -e \"$d/eof\" ]||u=1;"
              "a=0;if [ $h -lt %d ]&&[ -n \"$c\" ]&&[ -e \"$d/session\" ];then "
              "rm -f \"$d/session\";a=1;h=$((h+1));fi;"
              "read m <\"$d/meta\";echo \"$d ${c:-r} $p $u $a $m\";done|base64 >&3;"
              "echo - >&3;stat -c \"%%n %%s %%Y\" [0-9]*/out [0-9]*/err [0-9]*/in [0-9]*/code "
              "2>/dev/null|base64 >&3;",
              DELETED_MAX);
}
