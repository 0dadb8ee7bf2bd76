use std::io::Write;
use std::sync::Mutex;

use super::*;

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn played(policies: Option<std::path::PathBuf>, json: bool) -> (bool, String) {
    let page = Page::default();
    let times = Times::Since(Instant::now());
    let teller = Teller::new(Box::new(page.clone()), json, times, false);
    let args = DemoArgs {
        policies,
        boot_seconds: 0.5,
        json,
    };
    let well = play(args, Arc::new(teller)).await.unwrap();
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    (well, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_goes_well_with_the_built_in_rules_and_says_that_they_decide() {
    let (well, text) = played(None, false).await;
    assert!(well, "{text}");
    assert!(text.contains("NO POLICY given"), "{text}");
    assert!(text.ends_with("Everything went as it should.\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_does_not_load_is_told_and_the_demo_fails() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("default")).unwrap();
    std::fs::write(folder.path().join("default/policy.wasm"), b"no wasm").unwrap();
    let (well, text) = played(Some(folder.path().to_owned()), false).await;
    assert!(!well, "{text}");
    assert!(text.contains("default is refused"), "{text}");
    assert!(text.contains("not a WebAssembly component"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn for_machines_every_line_is_json() {
    let (well, text) = played(None, true).await;
    assert!(well, "{text}");
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["at"].is_string(), "{line}");
    }
    assert!(text.contains("\"kind\":\"summary\""), "{text}");
}
