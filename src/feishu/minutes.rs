//! Recordings of meetings (minutes, 妙记): what they are, their audio or video, their
//! transcript and what the service made of it, and which ones there are.
//!
//! A minute has no revision and no edit time (docs: minutes-v1/minute/get): title,
//! duration and the hashes of its parts are all there is to compare. While the service
//! still works on it, its parts are refused with an error that
//! [`ApiError::is_processing`]. Times of minutes are in milliseconds.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

use super::call::{Call, Expect};
use super::download::has_type;
use super::error::{ApiError, Class, Fault};
use super::quota::Endpoint;
use super::reader::{Asked, MAX_JSON_BYTES, Reader, Reply};
use super::reply::{self, Envelope};
use super::transport::Inner;
use super::{Body, Client, Listed, MediaLink, windows, wire};

const MINUTE: Endpoint = Endpoint::named("GET /open-apis/minutes/v1/minutes/:minute_token");
const MEDIA: Endpoint = Endpoint::named("GET /open-apis/minutes/v1/minutes/:minute_token/media");
const TRANSCRIPT: Endpoint =
    Endpoint::named("GET /open-apis/minutes/v1/minutes/:minute_token/transcript");
const ARTIFACTS: Endpoint =
    Endpoint::named("GET /open-apis/minutes/v1/minutes/:minute_token/artifacts");
const SEARCH: Endpoint = Endpoint::named("POST /open-apis/minutes/v1/minutes/search");

/// The largest page of a search (docs: minutes-v1/minute/search).
const PAGE_SIZE: &str = "30";
/// "Not found" (docs: minutes-v1/minute/get).
const NOT_FOUND: i64 = 2_091_002;
/// A minute's token has 24 characters; a page of the web client such as `/minutes/home`
/// has a shorter name.
const LEAST_TOKEN: usize = 20;

/// A recording. docs: minutes-v1/minute/get
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Minute {
    /// Its token.
    #[serde(deserialize_with = "wire::token")]
    pub token: String,
    /// Its title; empty where it has none.
    #[serde(default, deserialize_with = "title")]
    pub title: String,
    /// Its owner's `open_id`.
    #[serde(default, rename = "owner_id", deserialize_with = "wire::text")]
    pub owner: Option<String>,
    /// When it was made, which is the meeting's time; milliseconds since 1970.
    #[serde(default, rename = "create_time", deserialize_with = "wire::number")]
    pub created_ms: Option<i64>,
    /// Milliseconds.
    #[serde(default, rename = "duration", deserialize_with = "wire::number")]
    pub duration_ms: Option<i64>,
    /// In a browser.
    #[serde(default, deserialize_with = "wire::text")]
    pub url: Option<String>,
    /// The notes that the service wrote about the meeting.
    #[serde(default, deserialize_with = "wire::text")]
    pub note_id: Option<String>,
}

fn title<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(wire::text(from)?.unwrap_or_default())
}

/// A minute as a search shows it: besides its token there are only texts for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMinute {
    /// Its token.
    pub token: String,
    /// In a browser.
    pub url: Option<String>,
}

/// Which minutes to look for; the default: all that the user may see. Lists hold
/// `open_id`s, at most 100 each (docs: minutes-v1/minute/search).
#[derive(Debug, Clone, Default)]
pub struct MinuteFilter {
    /// Words in it, at most 50 characters.
    pub text: String,
    /// Owned by one of these.
    pub owners: Vec<String>,
    /// Attended by one of these.
    pub participants: Vec<String>,
}

/// How a transcript is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TranscriptForm {
    /// Plain text.
    Text {
        /// With names of speakers.
        speakers: bool,
        /// With times.
        times: bool,
    },
    /// Subtitles (`SubRip`), which always have times.
    Subtitles {
        /// With names of speakers.
        speakers: bool,
    },
}

/// What the service made of a transcript; parts that it did not make are empty. docs:
/// minutes-v1/minute-artifacts/get
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MinuteArtifacts {
    /// Markdown or plain text.
    pub summary: Option<String>,
    /// In order.
    pub chapters: Vec<Chapter>,
    /// In order.
    pub todos: Vec<ToDo>,
    /// In order. No page lists them; the public client reads them.
    pub keywords: Vec<String>,
}

/// A part of a meeting; times in milliseconds from the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the service's own names")]
pub struct Chapter {
    #[serde(default, deserialize_with = "title")]
    pub title: String,
    #[serde(default, deserialize_with = "wire::number")]
    pub start_ms: Option<i64>,
    #[serde(default, deserialize_with = "wire::number")]
    pub stop_ms: Option<i64>,
    #[serde(default, rename = "summary_content", deserialize_with = "title")]
    pub summary: String,
}

/// Something that somebody is to do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ToDo {
    /// What.
    #[serde(default, deserialize_with = "title")]
    pub content: String,
    /// Who: names or ids, as the service sent them.
    #[serde(default, deserialize_with = "words")]
    pub assignees: Vec<String>,
}

/// Texts, or objects that hold one: no page shows what stands in these lists.
fn words<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    const KEYS: [&str; 7] = ["name", "keyword", "content", "open_id", "user_id", "id", "text"];
    let word = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Object(fields) => {
            KEYS.iter().find_map(|key| fields.get(*key)?.as_str().map(str::to_owned))
        }
        _ => None,
    };
    Ok(match Value::deserialize(from)? {
        Value::Array(values) => values.into_iter().filter_map(word).collect(),
        value => word(value).into_iter().collect(),
    })
}

/// The token of the minute that a link leads to: `https://<host>/minutes/<token>`.
pub fn minute_token(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let mut parts = url.path_segments()?.filter(|part| !part.is_empty());
    let token = parts.next_back()?;
    let is_token =
        token.len() >= LEAST_TOKEN && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (parts.next_back() == Some("minutes") && is_token).then(|| token.to_owned())
}

impl ApiError {
    /// True where a temporary link was refused: it may be too old, and a new one may do.
    /// The host of links is another one than the API's, so this says nothing of what the
    /// link led to.
    pub fn is_stale_link(&self) -> bool {
        self.endpoint == Endpoint::LINK.name()
            && self.status.is_some()
            && matches!(self.class, Class::Forbidden | Class::Gone | Class::Unexpected)
    }
}

impl Client {
    /// What a minute is.
    ///
    /// # Errors
    /// [`Class::Gone`]: deleted (2091004) or never there (2091002); [`Class::Forbidden`]:
    /// this identity may not see it, another user may.
    pub async fn get_minute(&self, token: &str) -> Result<Minute, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            minute: Minute,
        }
        let path = [token];
        let call = Call::new(MINUTE, &path).query("user_id_type", "open_id");
        Ok(self.inner.call::<Data>(&call).await?.0.minute)
    }

    /// The audio or video of a minute; nothing is asked before its first download.
    pub fn minute_media(&self, token: &str) -> MinuteMedia {
        MinuteMedia { client: self.clone(), token: token.to_owned(), link: Arc::default() }
    }

    /// A link to the audio or video of a minute, good for a day (docs:
    /// minutes-v1/minute-media/get); `None` where it has none.
    ///
    /// # Errors
    /// As [`Self::get_minute`], and [`ApiError::is_processing`].
    pub async fn get_minute_media_link(&self, token: &str) -> Result<Option<MediaLink>, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            #[serde(default, deserialize_with = "wire::text")]
            download_url: Option<String>,
        }
        let path = [token];
        let got = self.inner.call::<Data>(&Call::new(MEDIA, &path)).await;
        let data = self.part(token, got).await?;
        Ok(data.and_then(|(data, _)| data.download_url).map(|url| MediaLink(url.into())))
    }

    /// The transcript of a minute, UTF-8; `None` where nobody spoke, so that there is
    /// none.
    ///
    /// # Errors
    /// As [`Self::get_minute`], and [`ApiError::is_processing`]. [`Class::Forbidden`] also
    /// where this identity may read the minute and not export it (docs:
    /// minutes-v1/minute-transcript/get).
    pub async fn get_minute_transcript(
        &self,
        token: &str,
        form: TranscriptForm,
    ) -> Result<Option<Bytes>, ApiError> {
        let (format, speakers, times) = match form {
            TranscriptForm::Text { speakers, times } => ("txt", speakers, times),
            TranscriptForm::Subtitles { speakers } => ("srt", speakers, true),
        };
        let path = [token];
        // No page tells the defaults, so none is relied on.
        let mut call = Call::new(TRANSCRIPT, &path)
            .query("need_speaker", speakers.to_string())
            .query("need_timestamp", times.to_string())
            .query("file_format", format);
        call.expect = Expect::Whole;
        let got = self.inner.exchange(&call, &Text).await;
        let text = self.part(token, got).await?;
        Ok(text.filter(|text| !text.trim_ascii().is_empty()))
    }

    /// Summary, chapters and to-dos of a minute; `None` where it has none. Custom apps
    /// only.
    ///
    /// # Errors
    /// As [`Self::get_minute`], and [`ApiError::is_processing`].
    pub async fn get_minute_artifacts(
        &self,
        token: &str,
    ) -> Result<Option<MinuteArtifacts>, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            #[serde(default, deserialize_with = "wire::text")]
            summary: Option<String>,
            #[serde(default)]
            minute_chapters: Option<Vec<Chapter>>,
            #[serde(default)]
            minute_todos: Option<Vec<ToDo>>,
            #[serde(default, alias = "minute_keywords", deserialize_with = "words")]
            keywords: Vec<String>,
        }
        let path = [token];
        let got = self.inner.call::<Option<Data>>(&Call::new(ARTIFACTS, &path)).await;
        let data = self.part(token, got).await?.and_then(|(data, _)| data);
        let made = data.map(|data| MinuteArtifacts {
            summary: data.summary,
            chapters: data.minute_chapters.unwrap_or_default(),
            todos: data.minute_todos.unwrap_or_default(),
            keywords: data.keywords,
        });
        Ok(made.filter(|made| *made != MinuteArtifacts::default()))
    }

    /// Every minute of a window of time (seconds since 1970, by when it was made) that the
    /// user sees and that fits; what was made at the very end may be in it or not. Only a
    /// user's token may ask (docs: minutes-v1/minute/search).
    ///
    /// # Errors
    /// A list is whole or an error: windows with too many results are asked for in parts.
    pub async fn list_minutes(
        &self,
        created: Range<i64>,
        filter: &MinuteFilter,
    ) -> Result<Listed<FoundMinute>, ApiError> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(deserialize_with = "wire::token")]
            token: String,
            #[serde(default)]
            meta_data: Option<Shown>,
        }
        #[derive(Deserialize)]
        struct Shown {
            #[serde(default, deserialize_with = "wire::text")]
            app_link: Option<String>,
        }
        let call = |window: &Range<i64>| {
            let mut wanted = json!({"create_time": windows::span(window)});
            for (name, ids) in
                [("owner_ids", &filter.owners), ("participant_ids", &filter.participants)]
            {
                if !ids.is_empty() {
                    wanted[name] = json!(ids);
                }
            }
            Call::new(SEARCH, &[])
                .query("user_id_type", "open_id")
                .query("page_size", PAGE_SIZE)
                .body(json!({"query": filter.text, "filter": wanted}))
        };
        let convert = |found: Found| FoundMinute {
            token: found.token,
            url: found.meta_data.and_then(|shown| shown.app_link),
        };
        self.inner.search_windows(created, None, call, convert, |found| &found.token).await
    }

    /// What came of a call for a part of a minute; `None` where only the part is missing.
    /// The service has one code for both, and a minute that is taken for deleted would be
    /// pruned.
    async fn part<T>(&self, token: &str, got: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
        match got {
            Err(error) if error.code == Some(NOT_FOUND) => {
                self.get_minute(token).await.map(|_| None)
            }
            got => got.map(Some),
        }
    }
}

/// The audio or video of a minute: gets a link when it needs one, and another one when
/// that is refused. Clones share the link, so a download in ranges asks for it once.
#[derive(Clone)]
pub struct MinuteMedia {
    client: Client,
    token: String,
    /// The link and how many there were before it.
    link: Arc<Mutex<(u64, Option<MediaLink>)>>,
}

impl MinuteMedia {
    /// The media, whole or a range of it (end exclusive), as [`Client::download_file`]
    /// gives a file; `None` where the minute has none. Whether the host of the links
    /// knows ranges is not documented: [`Body::offset`] tells.
    ///
    /// # Errors
    /// As [`Client::get_minute_media_link`]. A link that is refused right after it was
    /// given: [`ApiError::is_stale_link`].
    pub async fn download(&self, range: Option<Range<u64>>) -> Result<Option<Body>, ApiError> {
        let mut refused = None;
        loop {
            let Some((number, link, fresh)) = self.link(refused).await? else { return Ok(None) };
            match self.client.download_link(&link, range.clone()).await {
                Err(error) if error.is_stale_link() && !fresh => refused = Some(number),
                got => return got.map(Some),
            }
        }
    }

    /// The link with its number, and whether this call got it; another one than `refused`.
    async fn link(&self, refused: Option<u64>) -> Result<Option<(u64, MediaLink, bool)>, ApiError> {
        let mut held = self.link.lock().await;
        let (number, link) = &mut *held;
        let stale = refused == Some(*number);
        if let (Some(link), false) = (link.as_ref(), stale) {
            return Ok(Some((*number, link.clone(), false)));
        }
        let given = self.client.get_minute_media_link(&self.token).await?;
        *number += 1;
        link.clone_from(&given);
        Ok(given.map(|given| (*number, given, true)))
    }
}

impl Body {
    /// The extension, in small letters and without its dot, of the recording in here: of
    /// the name that came with it, else of its media type, else `media`.
    pub fn media_extension(&self) -> String {
        let named = self.file_name.as_deref().and_then(|name| name.rsplit_once('.'));
        let named = named.map(|(_, extension)| extension.to_ascii_lowercase()).filter(|it| {
            (1..=5).contains(&it.len()) && it.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        named.unwrap_or_else(|| {
            let known = match self.content_type.as_deref().unwrap_or_default() {
                "video/mp4" | "application/mp4" => "mp4",
                "video/quicktime" => "mov",
                "video/webm" | "audio/webm" => "webm",
                "audio/mp4" | "audio/m4a" | "audio/x-m4a" => "m4a",
                "audio/aac" => "aac",
                "audio/mpeg" | "audio/mp3" => "mp3",
                "audio/ogg" | "application/ogg" => "ogg",
                "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
                _ => "media",
            };
            known.to_owned()
        })
    }
}

/// Reads a text whole. The service sends a transcript as it is, and errors as JSON,
/// whatever the status and the media type (docs: minutes-v1/minute-transcript/get).
struct Text;

impl Reader for Text {
    type Out = Bytes;

    async fn read(&self, inner: &Inner, asked: &Asked, reply: Reply) -> Result<Bytes, Fault> {
        let (head, name) = (reply.head, asked.name());
        let body = inner.collect(name, reply.body, MAX_JSON_BYTES).await?;
        drop(reply.slot);
        let headers = &head.headers;
        let garbage =
            |what: &str| Fault::garbage(name, head.status.as_u16(), reply::log_id(headers), what);
        let envelope = Envelope::parse(&body);
        let refused = envelope.as_ref().and_then(|envelope| envelope.code);
        if head.status != StatusCode::OK || refused.is_some_and(|code| code != 0) {
            return Err(inner.refusal(asked, &head, envelope.as_ref()));
        }
        if refused == Some(0) {
            return Err(garbage("an answer without a transcript"));
        }
        if has_type(headers, "text/html") {
            return Err(garbage("a web page instead of a transcript"));
        }
        let promised = headers.get(http::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
        let promised = promised.and_then(|text| text.parse::<usize>().ok());
        if promised.is_some_and(|length| length != body.len()) {
            return Err(garbage("the transcript is cut"));
        }
        Ok(body)
    }
}
