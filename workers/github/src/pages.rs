//! Lists that GitHub gives page by page.

use serde::de::DeserializeOwned;
use stoker_core::ports::RegistrationTarget;

use crate::app::App;
use crate::error::Error;
use crate::runners::Asking;

/// The most that GitHub puts into a page.
pub(crate) const PAGE: usize = 100;

/// No list is read further: ten thousand are more than GitHub takes into one runner group, or lists of runs.
pub(crate) const MOST_PAGES: usize = 100;

/// One page of a list.
pub(crate) trait Page: DeserializeOwned {
    /// What is listed.
    type Item;

    fn items(self) -> Vec<Self::Item>;
}

impl App {
    /// Everything that a list has. What moves while it is read may be missing, or be there twice.
    pub(crate) async fn pages<P: Page>(
        &self,
        target: &RegistrationTarget,
        asking: Asking,
    ) -> Result<Vec<P::Item>, Error> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let mut query = asking.query.clone();
            query.push(("per_page", PAGE.to_string()));
            query.push(("page", page.to_string()));
            let asking = Asking {
                query,
                ..asking.clone()
            };
            let items = self.ask::<P>(target, &asking).await?.items();
            // Less than a page is the last one.
            let is_last = items.len() < PAGE;
            all.extend(items);
            if is_last {
                break;
            }
        }
        Ok(all)
    }
}
