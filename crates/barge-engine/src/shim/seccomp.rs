//! The filter on system calls that every container's program runs under.
//!
//! What Docker's default profile refuses is refused here: calls that change the machine (modules, kexec, clock, swap,
//! reboot), that make or change namespaces and mounts, that reach past namespaces (keyrings, file handles, BPF, perf,
//! kernel log), or that have been ways out before (userfaultfd, io_uring). It is a list of what is refused, not of what is
//! allowed: a call that is newer than this list is let through.
//!
//! Refused calls fail with EPERM, as without the right for them. `clone3` fails with ENOSYS, so that programs fall back to
//! `clone`, whose flags a filter can see.

use crate::sys;
use nix::libc::{self, sock_filter};
use std::io;
use std::mem::offset_of;

/// Applies the filter to this process and all that come of it, on machines whose calls are known here and whose kernel has
/// filters.
pub(super) fn apply() -> io::Result<()> {
    match architecture() {
        Some(native) => match sys::filter_system_calls(&mut program(native)) {
            // A kernel that was built without filters.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            done => done,
        },
        None => Ok(()),
    }
}

/// Refused whatever their arguments.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mbind,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[libc::c_long] =
    &[libc::SYS_ioperm, libc::SYS_iopl, libc::SYS_sysfs, libc::SYS_uselib, libc::SYS_ustat];

#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[libc::c_long] = &[];

/// Namespaces that clone(2) may not make: mount, cgroup, UTS, IPC, user, PID, network.
const NEW_NAMESPACES: u32 = 0x7e02_0000;

/// What personality(2) may be asked for: Linux, with or without 32 bit addresses or random ones, and which it is.
const PERSONALITIES: [u32; 5] = [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Sockets to the hypervisor's host.
const AF_VSOCK: u32 = 40;

/// On x86-64 numbers from here on are of another table, that of the x32 ABI.
const X32: u32 = 0x4000_0000;

/// The kernel's name for this machine's calls (AUDIT_ARCH_…).
fn architecture() -> Option<u32> {
    if cfg!(target_arch = "x86_64") {
        Some(0xc000_003e)
    } else if cfg!(target_arch = "aarch64") {
        Some(0xc000_00b7)
    } else {
        None
    }
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// A call fails with this error.
fn fails(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()
}

/// Where the kernel shows a call's parts to a filter.
const NUMBER: usize = offset_of!(libc::seccomp_data, nr);
const ARCHITECTURE: usize = offset_of!(libc::seccomp_data, arch);

/// The lower half of the first argument.
const FIRST_ARGUMENT: usize = offset_of!(libc::seccomp_data, args) + if cfg!(target_endian = "big") { 4 } else { 0 };

fn program(native: u32) -> Vec<sock_filter> {
    let mut code = vec![
        load(ARCHITECTURE),
        // Another architecture's numbers mean other calls: 32 bit programs on x86-64, which none of this would stop.
        jump(libc::BPF_JEQ, native, 1, 0),
        ret(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
        jump(libc::BPF_JGE, X32, 0, 1),
        ret(fails(libc::ENOSYS)),
    ];
    for call in REFUSED.iter().chain(REFUSED_HERE) {
        code.extend([jump(libc::BPF_JEQ, number(*call), 0, 1), ret(fails(libc::EPERM))]);
    }
    code.extend([jump(libc::BPF_JEQ, number(libc::SYS_clone3), 0, 1), ret(fails(libc::ENOSYS))]);
    // Each of these ends in a decision: the number in the accumulator is gone once an argument is looked at.
    code.extend([
        jump(libc::BPF_JEQ, number(libc::SYS_clone), 0, 4),
        load(FIRST_ARGUMENT),
        jump(libc::BPF_JSET, NEW_NAMESPACES, 0, 1),
        ret(fails(libc::EPERM)),
        ret(ALLOW),
        jump(libc::BPF_JEQ, number(libc::SYS_socket), 0, 4),
        load(FIRST_ARGUMENT),
        jump(libc::BPF_JEQ, AF_VSOCK, 0, 1),
        ret(fails(libc::EPERM)),
        ret(ALLOW),
        jump(libc::BPF_JEQ, number(libc::SYS_personality), 1, 0),
        ret(ALLOW),
        load(FIRST_ARGUMENT),
    ]);
    for persona in PERSONALITIES {
        code.extend([jump(libc::BPF_JEQ, persona, 0, 1), ret(ALLOW)]);
    }
    code.push(ret(fails(libc::EPERM)));
    code
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn load(offset: usize) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, u32::try_from(offset).unwrap_or(u32::MAX))
}

/// Compares the accumulator with `value`, and leaves out as many instructions as are given where the comparison holds, and
/// where it does not.
fn jump(comparison: u32, value: u32, holds: u8, fails: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_K | comparison, holds, fails, value)
}

fn ret(decision: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, decision)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATIVE: u32 = 0x1234;

    /// What the filter decides, by the rules of the kernel's machine.
    fn decide(architecture: u32, number: u32, argument: u32) -> u32 {
        let code = program(NATIVE);
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let sock_filter { code: what, jt, jf, k } = code[at];
            at += 1;
            let what = u32::from(what);
            if what == libc::BPF_RET | libc::BPF_K {
                return k;
            }
            if what == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS {
                accumulator = match k as usize {
                    NUMBER => number,
                    ARCHITECTURE => architecture,
                    FIRST_ARGUMENT => argument,
                    other => panic!("loads {other}"),
                };
                continue;
            }
            let holds = match what & !(libc::BPF_JMP | libc::BPF_K) {
                libc::BPF_JEQ => accumulator == k,
                libc::BPF_JGE => accumulator >= k,
                libc::BPF_JSET => accumulator & k != 0,
                other => panic!("compares by {other}"),
            };
            at += usize::from(if holds { jt } else { jf });
        }
    }

    #[test]
    fn what_docker_refuses_is_refused_and_the_rest_is_not() {
        let (eperm, enosys) = (fails(libc::EPERM), fails(libc::ENOSYS));
        for (call, argument, expected) in [
            (libc::SYS_read, 0, ALLOW),
            (libc::SYS_execve, 0, ALLOW),
            (libc::SYS_ptrace, 0, ALLOW),
            (libc::SYS_mount, 0, eperm),
            (libc::SYS_bpf, 0, eperm),
            (libc::SYS_vhangup, 0, eperm),
            (libc::SYS_clone3, 0, enosys),
            (libc::SYS_clone, libc::CLONE_VM.cast_unsigned(), ALLOW),
            (libc::SYS_clone, libc::CLONE_NEWUSER.cast_unsigned() | 0x11, eperm),
            (libc::SYS_clone, libc::CLONE_NEWNET.cast_unsigned(), eperm),
            (libc::SYS_socket, libc::AF_INET.cast_unsigned(), ALLOW),
            (libc::SYS_socket, AF_VSOCK, eperm),
            (libc::SYS_personality, 0xffff_ffff, ALLOW),
            (libc::SYS_personality, 0x2_0008, ALLOW),
            (libc::SYS_personality, 0x4_0000, eperm),
            (libc::c_long::from(X32) + libc::SYS_mount, 0, enosys),
        ] {
            assert_eq!(decide(NATIVE, number(call), argument), expected, "{call} {argument:#x}");
        }
        assert_eq!(decide(NATIVE + 1, number(libc::SYS_read), 0), libc::SECCOMP_RET_KILL_PROCESS);
    }
}
