//! What a server says about itself: health checks and metrics, under upstream's names.

use crate::support::{Fixture, refusal, refused};
use http::Request;

impl Fixture {
    async fn text(&self, path: &str) -> anyhow::Result<String> {
        Ok(self.client.request_text(Request::get(path).body(Vec::new())?).await?)
    }
}

#[tokio::test]
async fn checks_have_names_with_slashes_in_them() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    for path in ["/livez/ping", "/readyz/etcd", "/healthz/poststarthook/rbac/bootstrap-roles", "/readyz/shutdown"] {
        assert_eq!(fixture.text(path).await?, "ok", "{path}");
    }
    let answer = fixture.client.request_text(Request::get("/livez/shutdown").body(Vec::new())?).await;
    assert!(answer.is_err(), "livez has no such check");
    let verbose = fixture.text("/readyz?verbose&exclude=etcd").await?;
    assert!(verbose.contains("[+]etcd excluded: ok\n[+]etcd-readiness ok\n[+]informer-sync ok\n"), "{verbose}");
    assert!(verbose.ends_with("readyz check passed\n"), "{verbose}");
    Ok(())
}

#[tokio::test]
async fn requests_are_counted_by_upstreams_labels() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    fixture.configmap("counted").await?;
    let metrics = fixture.text("/metrics").await?;
    let has = |start: &str, rest: &str| metrics.lines().any(|line| line.starts_with(start) && line.contains(rest));
    let labels = "resource=\"configmaps\",scope=\"resource\",subresource=\"\"";
    assert!(has("apiserver_request_total{code=\"201\",component=\"apiserver\"", labels), "{metrics}");
    assert!(has("apiserver_request_duration_seconds_bucket{component=\"apiserver\"", "verb=\"POST\""), "{metrics}");
    assert!(has("authentication_attempts{result=\"success\"}", ""), "{metrics}");
    assert!(has("apiserver_resource_objects{group=\"\",resource=\"configmaps\"}", ""), "{metrics}");
    assert!(
        has("apiserver_admission_step_admission_duration_seconds_count{operation=\"CREATE\"", "admit"),
        "{metrics}"
    );
    let health = fixture.text("/metrics/slis").await?;
    assert!(health.contains("kubernetes_healthcheck{name=\"etcd\",type=\"readyz\"} 1\n"), "{health}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_routed_for_a_head() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let head = |path: &str| Request::head(path).body(Vec::new());
    assert_eq!(refusal(fixture.client.request_text(head("/api/v1/namespaces")?).await)?.0, 405);
    fixture.client.request_text(head("/livez")?).await?;
    let posted = Request::post("/version").body(Vec::new())?;
    assert_eq!(refusal(fixture.client.request_text(posted).await)?, refused(405, "MethodNotAllowed"));
    Ok(())
}
