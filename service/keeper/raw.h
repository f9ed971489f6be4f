/*
 * System calls without the C library, for the child's half of a spawn.
 *
 * That child runs in the keeper's memory while the keeper runs on, so it must not touch the
 * library's state: errno above all, which is the keeper's. raw_call gives the result or a
 * negative errno; a fifth argument, where there is one, is 0, or that of raw_call5. Where the call's
 * instruction is not written down here, and where a sanitizer watches the stack, KEEPER_SHARES is
 * 0: there children are forked, and own their errno.
 */
#ifndef FORKFUL_KEEPER_RAW_H
#define FORKFUL_KEEPER_RAW_H

#include <errno.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPER_SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define KEEPER_SANITIZED 1
#endif

#if defined(__x86_64__) && defined(__LP64__) && !defined(KEEPER_SANITIZED)
#define KEEPER_SHARES 1

static inline long raw_call5(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d,
                             uintptr_t e)
{
    long result;
    register uintptr_t fourth __asm__("r10") = d;
    register uintptr_t fifth __asm__("r8") = e;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
                     : "rcx", "r11", "memory");
    return result;
}

/* clone3 onto the stack that `arguments` names, where the child calls run(context) and never comes
   back. Gives the child's pid or a negative errno. */
static inline long raw_clone(const struct clone_args *arguments, void (*run)(void *), void *context)
{
    long result;
    register void (*entry)(void *) __asm__("r8") = run;
    register void *given __asm__("r9") = context;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %[given], %%rdi\n\t"
                     "call *%[entry]\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "a"((long)SYS_clone3), "D"(arguments), "S"(sizeof *arguments),
                       [entry] "r"(entry), [given] "r"(given)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__) && defined(__LP64__) && !defined(KEEPER_SANITIZED)
#define KEEPER_SHARES 1

static inline long raw_call5(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d,
                             uintptr_t e)
{
    register long which __asm__("x8") = number;
    register uintptr_t first __asm__("x0") = a;
    register uintptr_t second __asm__("x1") = b;
    register uintptr_t third __asm__("x2") = c;
    register uintptr_t fourth __asm__("x3") = d;
    register uintptr_t fifth __asm__("x4") = e;
    __asm__ volatile("svc #0"
                     : "+r"(first)
                     : "r"(which), "r"(second), "r"(third), "r"(fourth), "r"(fifth)
                     : "memory", "cc");
    return (long)first;
}

/* As above. */
static inline long raw_clone(const struct clone_args *arguments, void (*run)(void *), void *context)
{
    register long which __asm__("x8") = SYS_clone3;
    register uintptr_t first __asm__("x0") = (uintptr_t)arguments;
    register uintptr_t second __asm__("x1") = sizeof *arguments;
    register void (*entry)(void *) __asm__("x9") = run;
    register void *given __asm__("x10") = context;
    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x0, %[given]\n\t"
                     "blr %[entry]\n\t"
                     "brk #1\n"
                     "1:"
                     : "+r"(first)
                     : "r"(which), "r"(second), [entry] "r"(entry), [given] "r"(given)
                     : "memory", "cc");
    return (long)first;
}

#else
#define KEEPER_SHARES 0

static inline long raw_call5(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d,
                             uintptr_t e)
{
    long result = syscall(number, a, b, c, d, e);
    return result < 0 ? -errno : result;
}

static inline long raw_clone(const struct clone_args *arguments, void (*run)(void *), void *context)
{
    (void)arguments, (void)run, (void)context;
    return -ENOSYS; /* nobody asks for it */
}

#endif

static inline long raw_call(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)
{
    return raw_call5(number, a, b, c, d, 0);
}

#endif
