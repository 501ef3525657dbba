//! A process that is measured: the collector, or a peer.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Ended with a kill where nobody ended it before.
pub(crate) struct Process {
    child: Child,
    talk: Option<(ChildStdin, BufReader<ChildStdout>)>,
}

/// What it has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// Seconds of all its threads.
    pub(crate) cpu: f64,
    /// Megabytes in memory, now and at most.
    pub(crate) rss: f64,
    pub(crate) peak: f64,
}

impl Process {
    /// One that is only measured; what it says goes to a file.
    pub(crate) fn mute(command: &mut Command, log: &Path) -> Result<Self, Box<dyn Error>> {
        let log = std::fs::File::create(log)?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        Ok(Self { child, talk: None })
    }

    /// One that answers each line by one.
    pub(crate) fn talking(command: &mut Command) -> Result<Self, Box<dyn Error>> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (tell, told) = (child.stdin.take().ok_or("no stdin")?, child.stdout.take().ok_or("no stdout")?);
        Ok(Self { child, talk: Some((tell, BufReader::new(told))) })
    }

    /// The next line it says.
    pub(crate) fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let (_, told) = self.talk.as_mut().ok_or("it does not talk")?;
        let mut line = String::new();
        match told.read_line(&mut line)? {
            0 => Err("it ended".into()),
            _ => Ok(line.trim().to_owned()),
        }
    }

    pub(crate) fn ask(&mut self, what: &str) -> Result<String, Box<dyn Error>> {
        let (tell, _) = self.talk.as_mut().ok_or("it does not talk")?;
        writeln!(tell, "{what}")?;
        tell.flush()?;
        self.line()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn used(&self) -> Result<Used, Box<dyn Error>> {
        used(&self.child.id().to_string())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Whether it ended by itself.
    pub(crate) fn ended(&mut self) -> Result<bool, Box<dyn Error>> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for its end, after its input is closed or, where it does not talk, after SIGTERM.
    pub(crate) fn stop(&mut self) -> Result<(), Box<dyn Error>> {
        if self.talk.take().is_none() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, or cannot be helped.
        if self.child.kill().is_ok() {
            self.child.wait().map(drop).unwrap_or_default();
        }
    }
}

/// What a process has used, by its number or as `self`.
pub(crate) fn used(pid: &str) -> Result<Used, Box<dyn Error>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let behind = stat.rsplit_once(')').ok_or("no stat")?.1;
    // User and system time: fields 14 and 15, in ticks of 10 ms.
    let mut fields = behind.split_whitespace().skip(11);
    let mut tick = || -> Result<f64, Box<dyn Error>> { Ok(fields.next().ok_or("a short stat")?.parse()?) };
    let cpu = (tick()? + tick()?) / 100.0;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<f64, Box<dyn Error>> {
        let line = status.lines().find(|l| l.starts_with(name)).ok_or("no such field in /proc/PID/status")?;
        let kib: f64 = line.split_whitespace().nth(1).ok_or("no value")?.parse()?;
        Ok(kib * 1024.0 / 1e6)
    };
    Ok(Used { cpu, rss: field("VmRSS")?, peak: field("VmHWM")? })
}

/// The bytes of the files below a directory.
pub(crate) fn bytes(dir: &Path) -> u64 {
    // Files come and go while they are counted.
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(m) if m.is_dir() => bytes(&entry.path()),
        Ok(m) => m.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}
