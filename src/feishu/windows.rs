//! Searches that show only so many results: cut into windows of time until each window
//! can be listed to its end.
//!
//! A cut search would look like a complete one, and whatever it left out would never be
//! mirrored. So a window that has too many results is halved, down to a second.

use std::collections::HashSet;
use std::ops::Range;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Listed;
use super::call::Call;
use super::error::{ApiError, Class};
use super::paging::Paged;
use super::transport::Inner;

/// "Too deep": the pages after this one cannot be had (docs: minutes-v1/minute/search).
const TOO_DEEP: i64 = 2_094_007;
/// The page token is no longer good (docs: minutes-v1/minute/search).
const PAGE_EXPIRED: i64 = 2_094_005;
/// So often a window is begun again because its pages expired on the way.
const RESTARTS: u32 = 3;

/// A window as searches take it: ISO 8601 with a zone.
///
/// No page says whether the end belongs to it. It is sent as if it did not, and what
/// two neighbours both show is kept once.
pub(super) fn span(window: &Range<i64>) -> Value {
    let text = |secs| Timestamp::from_second(secs).unwrap_or_default().to_string();
    json!({"start_time": text(window.start), "end_time": text(window.end)})
}

impl Inner {
    /// Lists a search over a window of time, in seconds since 1970. `call` makes the call
    /// for a window; `most`: a listing of so many results may have been cut there.
    ///
    /// What happened at the very end of the window may come or not.
    ///
    /// # Errors
    /// A second with too many results is an error, as is everything that ends a listing.
    pub(super) async fn search_windows<W, T>(
        &self,
        window: Range<i64>,
        most: Option<usize>,
        call: impl Fn(&Range<i64>) -> Call<'static> + Send + Sync,
        convert: impl Fn(W) -> T + Send + Sync,
        key: impl Fn(&T) -> &str + Send + Sync,
    ) -> Result<Listed<T>, ApiError>
    where
        W: DeserializeOwned + Send,
        T: Send,
    {
        let mut listed = Listed { items: Vec::new(), seen_secs: self.clock.now_secs() };
        let mut known: HashSet<String> = HashSet::new();
        let mut first = true;
        // The last one is next: the later half of a window comes before the earlier, as the
        // newest come first inside of each.
        let mut open = if window.is_empty() { Vec::new() } else { vec![(window, 0)] };
        while let Some((window, restarts)) = open.pop() {
            let asked = call(&window);
            let whole = match self.search_window::<W>(&asked, most).await {
                Err(error) if error.code == Some(TOO_DEEP) => None,
                Err(error) if error.code == Some(PAGE_EXPIRED) && restarts < RESTARTS => {
                    open.push((window, restarts + 1));
                    continue;
                }
                whole => whole?,
            };
            let Some(whole) = whole else {
                open.extend(halves(&window).ok_or_else(|| {
                    let what = "one second has more results than the service lists";
                    ApiError::local(Class::Unexpected, asked.endpoint.name(), what)
                })?);
                continue;
            };
            if std::mem::take(&mut first) {
                listed.seen_secs = whole.seen_secs;
            }
            let items = whole.items.into_iter().map(&convert);
            listed.items.extend(items.filter(|item| known.insert(key(item).to_owned())));
        }
        Ok(listed)
    }

    /// What one window shows; `None` where `most` results came, so that some may be missing.
    /// The pages after those are not asked for: they may be empty, or an error.
    async fn search_window<W: DeserializeOwned + Send>(
        &self,
        call: &Call<'_>,
        most: Option<usize>,
    ) -> Result<Option<Listed<W>>, ApiError> {
        let mut listed = Listed { items: Vec::new(), seen_secs: 0 };
        let mut paged = Paged::default();
        while let Some(page) = paged.next::<W>(self, call).await? {
            if paged.pages() == 1 {
                listed.seen_secs = page.seen_secs;
            }
            paged.note(call, !page.items.is_empty())?;
            listed.items.extend(page.items);
            if most.is_some_and(|most| listed.items.len() >= most) {
                return Ok(None);
            }
        }
        Ok(Some(listed))
    }
}

/// The earlier half and the later one; `None` for a second.
fn halves(window: &Range<i64>) -> Option<[(Range<i64>, u32); 2]> {
    let half = (window.end - window.start) / 2;
    let middle = window.start + half;
    (half > 0).then_some([(window.start..middle, 0), (middle..window.end, 0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_written_with_a_zone_and_halved_down_to_a_second() {
        assert_eq!(
            span(&(1_767_225_600..1_769_904_000)),
            json!({"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-01T00:00:00Z"})
        );
        assert_eq!(halves(&(10..13)).unwrap(), [(10..11, 0), (11..13, 0)]);
        assert!(halves(&(10..11)).is_none());
    }
}
