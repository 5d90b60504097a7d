//! OpenAPI documents.

use std::sync::Arc;

use corten_api::status::Result;

use crate::call::Call;
use crate::handlers::no_such_path;
use crate::http::ApiResponse;

pub async fn answer(_call: &Arc<Call>, _parts: &[&str]) -> Result<ApiResponse> {
    Err(no_such_path())
}
