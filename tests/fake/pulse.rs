//! A private PulseAudio server whose sink is recorded.

#![allow(dead_code, reason = "not every binary of tests plays and records")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wysiwyh::synth::SAMPLE_RATE;

use crate::skipped::skipped;

/// How long a condition may take to come true; on a busy machine, long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Presses Ctrl-C.
pub fn interrupt(process: &Child) {
    let id = process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
}

/// A process that ends with the test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A PulseAudio server of the test's own, with two sinks that nobody hears:
/// `test`, its choice, and `other`.
pub struct Pulse {
    pub folder: TempDir,
    server: Option<Process>,
}

impl Pulse {
    /// Starts the server; `None`, and a line, where there is none to start.
    pub fn start() -> Option<Self> {
        let installed = |program: &str| {
            let asked = Command::new(program).arg("--version").stdout(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        };
        if !["pulseaudio", "parec", "pactl"].iter().all(|program| installed(program)) {
            skipped("PulseAudio is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let default = "pcm.!default { type pulse }\nctl.!default { type pulse }\n";
        fs::write(folder.path().join(".asoundrc"), default).unwrap();
        let mut pulse = Self { folder, server: None };
        pulse.start_server();
        Some(pulse)
    }

    pub fn start_server(&mut self) {
        let socket =
            format!("module-native-protocol-unix socket={} auth-anonymous=1", self.socket());
        let sink = |name| format!("module-null-sink sink_name={name} rate=48000 format=float32le");
        let server = self
            .command("pulseaudio")
            .args([
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--disable-shm=1",
                "--use-pid-file=no",
            ])
            .args(["-L", &socket, "-L", &sink("test"), "-L", &sink("other")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.server = Some(Process(server));
        wait_for("the PulseAudio server", || {
            let asked = self.command("pactl").arg("info").output().unwrap();
            asked.status.success()
        });
    }

    /// Kills the server, as when a device is unplugged.
    pub fn stop_server(&mut self) {
        self.server = None;
        let _ = fs::remove_file(self.socket());
    }

    /// Lets the server hang: it takes connections, and answers nothing.
    pub fn freeze_server(&self) {
        let process = &self.server.as_ref().expect("a server that runs").0;
        let stop = Command::new("kill").args(["-STOP", &process.id().to_string()]).status();
        assert!(stop.unwrap().success());
    }

    fn socket(&self) -> String {
        self.folder.path().join("socket").display().to_string()
    }

    /// `program` as a client of this server.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("PULSE_SERVER", format!("unix:{}", self.socket()))
            .env_remove("ALSA_CONFIG_PATH");
        command
    }

    /// Has `pactl` tell the server what to do.
    pub fn pactl(&self, arguments: &[&str]) {
        assert!(self.command("pactl").args(arguments).output().unwrap().status.success());
    }

    /// Listens to the sink `test`, and keeps nothing: a null sink to which nobody listens
    /// runs two seconds ahead whenever nothing plays to it for a moment.
    pub fn listen(&self) -> Process {
        let ear = ["-d", "test.monitor", "--raw", "--latency-msec=5"];
        let ear = self.command("parec").args(ear).stdout(Stdio::null()).spawn();
        Process(ear.unwrap())
    }

    /// Starts to record the sink `test`.
    pub fn record(&self) -> Tape {
        self.record_sink("test")
    }

    /// Starts to record the sink called `sink`.
    pub fn record_sink(&self, sink: &str) -> Tape {
        let path = self.folder.path().join(format!("{sink}.raw"));
        let file = fs::File::create(&path).unwrap();
        let process = self
            .command("parec")
            .args(["-d", &format!("{sink}.monitor"), "--raw", "--format=float32le", "--rate=48000"])
            .args(["--channels=2", "--latency-msec=50"])
            .stdout(file)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let tape = Tape { process: Process(process), path };
        wait_for("the recording", || !tape.channels().is_empty());
        tape
    }
}

/// A sink that is being recorded.
pub struct Tape {
    process: Process,
    path: PathBuf,
}

impl Tape {
    /// Left and right so far.
    pub fn channels(&self) -> Vec<[f32; 2]> {
        let bytes = fs::read(&self.path).unwrap();
        let (frames, _) = bytes.as_chunks::<8>();
        let sample = |b: &[u8]| f32::from_le_bytes(b.try_into().unwrap());
        frames.iter().map(|frame| [sample(&frame[..4]), sample(&frame[4..])]).collect()
    }

    /// Ends the recording a second after now.
    pub fn finish(self) -> Vec<[f32; 2]> {
        let until = self.channels().len() + SAMPLE_RATE;
        wait_for("the end of the recording", || self.channels().len() >= until);
        let channels = self.channels();
        drop(self.process);
        channels
    }
}
