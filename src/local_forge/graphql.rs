//! (being written)

use super::reply::{Answer, Call, refuse};

pub(crate) fn answer(_: &mut Call<'_>) -> Answer {
    Err(refuse(501, "not yet"))
}
