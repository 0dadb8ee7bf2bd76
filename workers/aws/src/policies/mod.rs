//! Policies in a bucket: what people upload ([`S3Uploads`], under `policies/`), and what admission
//! publishes of it ([`S3Policies`], beside that).

mod store;
mod uploads;

pub use store::S3Policies;
pub use uploads::S3Uploads;
