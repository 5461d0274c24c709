//! What survives the trip.
