//! Has glibc give freed memory back: by itself it keeps, for each thread, what that thread's largest page once needed.

/// glibc's limit on free memory at the end of a heap. Naming one at all also stops it from learning from every large
/// block that blocks of that size are not worth giving back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SETTING: (&str, &str) = ("MALLOC_TRIM_THRESHOLD_", "1048576");

/// Starts the program anew, as the same process, with the setting that can only be made from outside; a user's own one
/// stands. Measured on pages alone: peak memory on a ten times larger corpus is 1.2 to 1.6 times as high without it.
pub fn start_with_trimming() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::os::unix::process::CommandExt;
        if std::env::var_os(SETTING.0).is_some() {
            return;
        }
        if let Ok(program) = std::env::current_exe() {
            // Returns only where it fails; then the run needs more memory, and nothing else.
            let _ =
                std::process::Command::new(program).args(std::env::args_os().skip(1)).env(SETTING.0, SETTING.1).exec();
        }
    }
}
