//! What a listener can ask for while the sound plays: as a line of text, or
//! as a key.

use std::str::FromStr;

/// What a listener asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Silence at the speaker, or its end; files go on.
    Mute,
    /// 3 dB more at the speaker.
    Louder,
    /// 3 dB less.
    Quieter,
    /// Twice as many groups of the code: finer.
    More,
    /// Half as many: coarser.
    Less,
    /// A marker in the session.
    Mark,
    /// How it goes.
    Status,
    /// What is hottest and coldest, and where.
    Where,
    /// What can be asked for.
    Help,
    /// The end.
    Quit,
}

/// What can be asked for, one sentence per line.
pub const HELP: [&str; 4] = [
    "Space or mute: silence, and sound again. Up or louder, down or quieter: 3 dB.",
    "+ or more: a finer sound, - or less: a coarser one. l or mark: a marker in the session.",
    "s or status: how it goes. w or where: what is hottest and coldest, and where.",
    "h or help: this. q or quit: the end.",
];

/// Names of the commands.
const NAMES: [(&str, Command); 24] = [
    ("mute", Command::Mute),
    ("m", Command::Mute),
    ("louder", Command::Louder),
    ("up", Command::Louder),
    ("u", Command::Louder),
    ("quieter", Command::Quieter),
    ("down", Command::Quieter),
    ("d", Command::Quieter),
    ("more", Command::More),
    ("+", Command::More),
    // The key of the plus sign without the shift key.
    ("=", Command::More),
    ("less", Command::Less),
    ("-", Command::Less),
    ("mark", Command::Mark),
    ("l", Command::Mark),
    ("status", Command::Status),
    ("s", Command::Status),
    ("where", Command::Where),
    ("w", Command::Where),
    ("help", Command::Help),
    ("h", Command::Help),
    ("?", Command::Help),
    ("quit", Command::Quit),
    ("q", Command::Quit),
];

impl FromStr for Command {
    type Err = String;

    /// Reads a command's name, or the letter of its key, whatever their case.
    /// The error is a sentence.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim();
        let asked = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        asked.map(|(_, command)| *command).ok_or_else(|| {
            let name: String = name.chars().take(30).collect();
            format!("There is no command {name:?}; help lists them.")
        })
    }
}

/// Tells which commands the bytes of a terminal are, one after another.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Of a key that sends several bytes, those that have come.
    sequence: Vec<u8>,
}

/// No key sends more bytes than that.
const LONGEST: usize = 16;

impl Keys {
    /// The command that is complete with `byte`; nothing for bytes in the
    /// midst of a key, and for keys that mean nothing.
    ///
    /// Arrows send `ESC [ A` or `ESC O A` (ECMA-48; DEC VT100 in its two
    /// modes); other keys that begin so end with a letter or a tilde.
    pub fn press(&mut self, byte: u8) -> Option<Command> {
        match (self.sequence.len(), byte) {
            (_, 0x1b) => self.sequence = vec![byte],
            (0, b' ') => return Some(Command::Mute),
            (0, _) => return char::from(byte).to_string().parse().ok(),
            (1, b'[' | b'O') => self.sequence.push(byte),
            // The key Escape alone, and then another one.
            (1, _) => {
                self.sequence.clear();
                return self.press(byte);
            }
            (length, 0x20..0x40) if length < LONGEST => self.sequence.push(byte),
            (length, _) => {
                self.sequence.clear();
                return match byte {
                    b'A' if length == 2 => Some(Command::Louder),
                    b'B' if length == 2 => Some(Command::Quieter),
                    _ => None,
                };
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_or_letters() {
        let all = [
            ("mute", Command::Mute),
            ("Louder\r\n", Command::Louder),
            (" quieter ", Command::Quieter),
            ("more", Command::More),
            ("+", Command::More),
            ("-", Command::Less),
            ("LESS", Command::Less),
            ("l", Command::Mark),
            ("status", Command::Status),
            ("W", Command::Where),
            ("help", Command::Help),
            ("q", Command::Quit),
        ];
        for (line, command) in all {
            assert_eq!(line.parse(), Ok(command), "{line:?}");
        }
        for line in ["", "mutes", "mute now", "\u{1b}[A", "ä", "\0"] {
            assert!(line.parse::<Command>().is_err(), "{line:?}");
        }
        let long = "x\n\u{7}".repeat(1000).parse::<Command>().unwrap_err();
        assert!(long.len() < 200 && !long.chars().any(char::is_control), "{long}");
    }

    #[test]
    fn keys_are_letters_space_and_arrows() {
        let pressed = |bytes: &[u8]| -> Vec<Command> {
            let mut keys = Keys::default();
            bytes.iter().filter_map(|&byte| keys.press(byte)).collect()
        };
        use Command::*;
        assert_eq!(
            pressed(b" +-=lswhqQ?"),
            [Mute, More, Less, More, Mark, Status, Where, Help, Quit, Quit, Help]
        );
        assert_eq!(pressed(b"\x1b[A\x1b[B\x1bOA\x1bOB"), [Louder, Quieter, Louder, Quieter]);
        // Page down, F5, a control-arrow, a left arrow and Enter mean nothing.
        assert_eq!(pressed(b"\x1b[6~\x1b[15~\x1b[1;5A\x1b[D\n\x00\xff"), []);
        // Escape alone does not swallow the key after it.
        assert_eq!(pressed(b"\x1bs\x1b\x1b[A"), [Status, Louder]);
        let endless = [b"\x1b[".as_slice(), &[b'1'; 100], b"q"].concat();
        assert_eq!(pressed(&endless), [Quit]);
    }
}
