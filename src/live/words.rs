//! Sentences on their way to whoever reads them, who may have stopped reading: a
//! terminal that is held by Ctrl-S, or a pipe that nobody empties.

use std::sync::mpsc::sync_channel;

/// So many sentences wait to be read at most.
const MOST: usize = 1000;

/// Does `work`, and has what it says told by `say` in its order, on a thread of its
/// own: while it works it never waits for a reader, but at its end it does. Of more
/// than [`MOST`] sentences that nobody reads the last ones are left out, and counted.
pub(super) fn told_aside<T>(
    say: &mut (dyn FnMut(&str) + Send),
    work: impl FnOnce(&mut dyn FnMut(&str)) -> T,
) -> T {
    let (sender, sentences) = sync_channel::<String>(MOST);
    std::thread::scope(|scope| {
        scope.spawn(move || sentences.iter().for_each(|sentence| say(&sentence)));
        let mut left_out = 0;
        let done = work(&mut |sentence| {
            let told = match left_out {
                0 => sentence.to_owned(),
                _ => format!("{} {sentence}", unread(left_out)),
            };
            left_out = if sender.try_send(told).is_ok() { 0 } else { left_out + 1 };
        });
        if left_out > 0 {
            // It fails only where the thread has panicked, and has said so.
            let _ = sender.send(unread(left_out));
        }
        drop(sender);
        done
    })
}

fn unread(left_out: u64) -> String {
    format!("Nobody read what was told here, and {left_out} sentences were left out.")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn whoever_does_not_read_holds_nothing_up() {
        let (release, gate) = channel::<()>();
        let (begin, begun) = channel();
        let (mut told, mut count) = (vec![], 0);
        let read = &mut told;
        let mut say = move |sentence: &str| {
            let _ = begin.send(());
            // It reads nothing until the work is done.
            let _ = gate.recv();
            read.push(sentence.to_owned());
        };
        let done = told_aside(&mut say, move |say| {
            for n in 0..3 * MOST {
                say(&n.to_string());
                count += 1;
                if n == 0 {
                    // The first one is with the reader, and not among those that wait.
                    begun.recv().unwrap();
                }
            }
            drop(release);
            count
        });
        assert_eq!(done, 3 * MOST);
        let (last, first) = told.split_last().unwrap();
        assert!(first.iter().enumerate().all(|(n, sentence)| *sentence == n.to_string()));
        assert_eq!(first.len(), MOST + 1);
        assert!(last.contains(&format!("{} sentences", 2 * MOST - 1)), "{last}");
    }

    #[test]
    fn where_they_are_read_all_sentences_are_told_in_their_order() {
        let mut told = vec![];
        told_aside(&mut |sentence| told.push(sentence.to_owned()), |say| {
            ["a", "b", "c"].iter().for_each(|sentence| say(sentence));
        });
        assert_eq!(told, ["a", "b", "c"]);
    }
}
