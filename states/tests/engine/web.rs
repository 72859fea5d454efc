//! The network of one test: pages by their addresses, and who asked for them.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;

use mayfly_states::host::{Answer, Fetch, FetchError, Request};

/// What is at an address.
#[derive(Clone, Default)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) etag: Option<String>,
}

/// See the module. What has no page cannot be reached.
#[derive(Default)]
pub(crate) struct Web {
    pages: Mutex<HashMap<String, Page>>,
    asked: Mutex<Vec<Request>>,
}

impl Web {
    pub(crate) fn put(&self, url: &str, body: impl Into<Vec<u8>>) {
        self.page(url, Page { status: 200, body: body.into(), etag: None });
    }

    pub(crate) fn page(&self, url: &str, page: Page) {
        self.pages.lock().unwrap().insert(url.to_owned(), page);
    }

    pub(crate) fn remove(&self, url: &str) {
        self.pages.lock().unwrap().remove(url);
    }

    /// The addresses that were asked since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| format!("{} {}", request.method, request.url)).collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Fetch for Web {
    fn fetch(&self, request: &Request, to: &mut dyn Write) -> Result<Answer, FetchError> {
        self.asked.lock().unwrap().push(request.clone());
        let page = self.pages.lock().unwrap().get(&request.url).cloned();
        let page = page.ok_or_else(|| FetchError::Failed("connection refused".to_owned()))?;
        let known = request.headers.iter().find(|(name, _)| name == "If-None-Match").map(|(_, etag)| etag);
        if page.etag.is_some() && page.etag.as_ref() == known {
            return Ok(Answer { status: 304, etag: page.etag, ..Answer::default() });
        }
        if !(200..300).contains(&page.status) && !request.any_status {
            return Err(FetchError::Status { status: page.status, detail: String::new() });
        }
        for piece in page.body.chunks(1000) {
            to.write_all(piece)?;
        }
        Ok(Answer { status: page.status, etag: page.etag, ..Answer::default() })
    }
}
