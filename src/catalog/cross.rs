//! Do the definitions fit together?
