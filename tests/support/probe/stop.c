/*
 * Not a module but a library that httpd is started with (LD_PRELOAD): it stops a thread in the middle of
 * a system call that changes a file, so that a test can kill the process there.
 *
 * It reads one order, "PID CALL PERCENT", from the file signals/order in the folder in which httpd was
 * started. When the process PID next makes CALL:
 *
 *   pwrite     PERCENT of the bytes are written
 *   unlinkat   the file is removed (PERCENT is 100); not if there was none
 *
 * then the thread makes the file signals/stopped and waits for ever. What it holds it keeps holding. The
 * other threads of the process run on, and so does every process but PID.
 */

#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FOLDER_BYTES 4000

static char folder[FOLDER_BYTES];
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_unlinkat)(int, const char *, int);

/* httpd goes to another folder later on. */
__attribute__((constructor)) static void prepare(void)
{
    if (!getcwd(folder, sizeof folder))
        folder[0] = '\0';
    real_pwrite = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    real_unlinkat = (int (*)(int, const char *, int))dlsym(RTLD_NEXT, "unlinkat");
}

static int open_signal(const char *name, int flags)
{
    char path[FOLDER_BYTES + 40];

    snprintf(path, sizeof path, "%s/signals/%s", folder, name);
    return open(path, flags | O_CLOEXEC, 0666);
}

/* How much of the call is to be done, in percent, before this thread stops; -1: it does not stop. */
static int ordered(const char *call)
{
    char text[80], name[20];
    int pid, percent, saved = errno;
    int fd = open_signal("order", O_RDONLY);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    errno = saved;
    if (length <= 0)
        return -1;
    text[length] = '\0';
    if (sscanf(text, "%d %19s %d", &pid, name, &percent) != 3)
        return -1;
    return pid == (int)getpid() && strcmp(name, call) == 0 ? percent : -1;
}

static void stop(void)
{
    close(open_signal("stopped", O_WRONLY | O_CREAT));
    for (;;)
        pause();
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    int percent = ordered("pwrite");

    if (percent < 0)
        return real_pwrite(fd, bytes, count, offset);
    if (percent > 0)
        real_pwrite(fd, bytes, count * (size_t)percent / 100, offset);
    stop();
    return -1;
}

int unlinkat(int dir, const char *name, int flags)
{
    int result = real_unlinkat(dir, name, flags);

    if (result == 0 && ordered("unlinkat") >= 0)
        stop();
    return result;
}
