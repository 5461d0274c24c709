//! Code to levels at frequencies, and back; hearing.
