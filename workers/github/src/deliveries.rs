//! What GitHub has sent to the App's webhook in the last three days, and what it is to send again.

use reqwest::Method;
use reqwest::header::LINK;
use serde::Deserialize;
use stoker_core::ports::{Deliveries, Delivery};
use stoker_core::time::Timestamp;
use stoker_intake::DeliveryId;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{Error, Purpose};
use crate::http;
use crate::installations::Installations;
use crate::pages::PAGE;

const LISTING: Purpose = Purpose {
    permission: None,
    not_found: "check that the GitHub App has a webhook, and GITHUB_API_URL",
};

const ASKING_AGAIN: Purpose = Purpose {
    permission: None,
    not_found: "GitHub has forgotten that delivery: it keeps them for three days",
};

/// A delivery, as GitHub lists it.
#[derive(Deserialize)]
struct Listed {
    id: u64,
    guid: DeliveryId,
    delivered_at: String,
    #[serde(default)]
    redelivery: bool,
    #[serde(default)]
    status_code: u16,
    event: String,
    #[serde(default)]
    action: Option<String>,
}

impl Listed {
    fn delivery(self) -> Result<Delivery, Error> {
        let at =
            OffsetDateTime::parse(&self.delivered_at, &Rfc3339).map_err(|_| Error::Unreadable {
                problem: "the time of a delivery is not RFC 3339".to_owned(),
            })?;
        Ok(Delivery {
            id: self.id,
            guid: self.guid,
            at: Timestamp::from(at),
            redelivery: self.redelivery,
            status: self.status_code,
            event: self.event,
            action: self.action,
        })
    }
}

impl Installations {
    /// A page of deliveries, newest first.
    pub(crate) async fn deliveries(&self, cursor: Option<&str>) -> Result<Deliveries, Error> {
        let mut url = self.endpoints.api(&["app", "hook", "deliveries"]);
        url.query_pairs_mut()
            .append_pair("per_page", &PAGE.to_string());
        if let Some(cursor) = cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let response = self.answer_to_app(Method::GET, url, LISTING).await?;
        let links = response.headers().get(LINK);
        let next = links.and_then(|links| next_cursor(links.to_str().ok()?));
        let listed: Vec<Listed> = http::read(response).await?;
        let deliveries = listed.into_iter().map(Listed::delivery);
        Ok(Deliveries {
            deliveries: deliveries.collect::<Result<_, _>>()?,
            next,
        })
    }

    /// Has GitHub deliver it once more.
    pub(crate) async fn deliver_again(&self, id: u64) -> Result<(), Error> {
        let id = id.to_string();
        let url = self
            .endpoints
            .api(&["app", "hook", "deliveries", &id, "attempts"]);
        self.answer_to_app(Method::POST, url, ASKING_AGAIN).await?;
        Ok(())
    }
}

/// The cursor of the next page, out of a `Link` header ("Using pagination in the REST API").
fn next_cursor(links: &str) -> Option<String> {
    let next = links
        .split(',')
        .find(|link| link.contains("rel=\"next\""))?;
    let url = next.split('<').nth(1)?.split('>').next()?;
    let url = reqwest::Url::parse(url).ok()?;
    let mut pairs = url.query_pairs();
    let (_, cursor) = pairs.find(|(name, _)| name == "cursor")?;
    Some(cursor.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_where_its_link_says() {
        let links = r#"<https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_17323292984>; rel="next", <https://api.github.com/app/hook/deliveries?per_page=100>; rel="first""#;
        assert_eq!(next_cursor(links).as_deref(), Some("v1_17323292984"));
        let last = r#"<https://api.github.com/app/hook/deliveries?per_page=100>; rel="first""#;
        assert_eq!(next_cursor(last), None);
        assert_eq!(next_cursor("nonsense"), None);
    }
}
