//! The address book: names of people by their ids.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::call::Call;
use super::error::ApiError;
use super::quota::Endpoint;
use super::{Client, wire};

const USERS: Endpoint = Endpoint::named("GET /open-apis/contact/v3/users/batch");

/// docs: contact-v3/user/batch
const MAX_IDS: usize = 50;
/// "The id is unknown, or not visible to the app", one code for each kind of id (docs:
/// api-call-guide/generic-error-code).
const BAD_ID: std::ops::RangeInclusive<i64> = 99_992_351..=99_992_364;

/// docs: contact-v3/user/batch
#[derive(Deserialize)]
struct RawUser {
    #[serde(default, deserialize_with = "wire::text")]
    open_id: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    name: Option<String>,
}

impl Client {
    /// Names of users by their `open_id`, 50 a call. Whom the app may not see is
    /// missing, as are all names where the app may see ids but no names.
    ///
    /// # Errors
    /// [`super::Class::Config`] and [`super::Class::Login`] where a scope is missing
    /// (`contact:contact.base:readonly` and `contact:user.base:readonly`): a mirror does
    /// without names then.
    pub async fn get_user_names(
        &self,
        open_ids: &[String],
    ) -> Result<BTreeMap<String, String>, ApiError> {
        let once: BTreeSet<&str> = open_ids.iter().map(String::as_str).collect();
        let once: Vec<&str> = once.into_iter().filter(|id| !id.is_empty()).collect();
        let mut names = BTreeMap::new();
        let mut batches: Vec<&[&str]> = once.chunks(MAX_IDS).rev().collect();
        while let Some(batch) = batches.pop() {
            match self.get_batch(batch).await {
                Ok(users) => names.extend(users),
                // One id that the service does not take spoils its whole batch.
                Err(error) if error.code.is_some_and(|code| BAD_ID.contains(&code)) => {
                    if batch.len() > 1 {
                        let (left, right) = batch.split_at(batch.len() / 2);
                        batches.extend([right, left]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(names)
    }

    async fn get_batch(&self, ids: &[&str]) -> Result<Vec<(String, String)>, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            #[serde(default)]
            items: Option<Vec<RawUser>>,
        }
        let mut call = Call::new(USERS, &[]);
        for id in ids {
            call = call.query("user_ids", *id);
        }
        call = call.query("user_id_type", "open_id");
        let (data, _) = self.inner.call::<Data>(&call).await?;
        let users = data.items.unwrap_or_default().into_iter();
        Ok(users.filter_map(|user| Some((user.open_id?, user.name?))).collect())
    }
}
