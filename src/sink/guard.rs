//! The ear's protection.
