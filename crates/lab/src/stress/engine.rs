//! The engines that are measured side by side.

use crate::error::{Error, Result};
use crate::workload::StoreUnderTest;

/// An engine of this release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Engine {
    url: &'static str,
    name: &'static str,
    /// Whether what is stored outlives the process.
    is_lasting: bool,
}

/// Those that stores can be made on for a run.
const ALL: [Engine; 2] = [
    Engine { url: "memory:", name: "memory", is_lasting: false },
    Engine { url: "disk:", name: "disk", is_lasting: true },
];

impl Engine {
    /// The engines that are called so, each once.
    pub(super) fn all(urls: &[String]) -> Result<Vec<Self>> {
        let mut engines: Vec<Self> = Vec::new();
        for url in urls {
            let Some(engine) = ALL.iter().find(|engine| engine.url == url) else {
                let message = format!(
                    "engine: found {url:?}; allowed: \"memory:\", and \"disk:\" for temporary stores on disk, which are \
                     the engines of this release"
                );
                return Err(Error::Invalid(message));
            };
            if engines.contains(engine) {
                return Err(Error::Invalid(format!("engine: found {url:?} twice; allowed: once")));
            }
            engines.push(engine.clone());
        }
        if engines.is_empty() {
            return Err(Error::Invalid("engine: found none; allowed: one or more".to_owned()));
        }
        Ok(engines)
    }

    /// Its name, as a store tells it.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn url(&self) -> &'static str {
        self.url
    }

    pub(super) fn is_lasting(&self) -> bool {
        self.is_lasting
    }

    /// A store of it, with the settings that users get.
    pub(super) fn store(&self) -> StoreUnderTest {
        StoreUnderTest { engine: self.url.to_owned(), ..StoreUnderTest::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::Engine;

    #[test]
    fn engines_are_named_by_their_urls_and_each_once() {
        let named =
            |urls: &[&str]| Engine::all(&urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>());
        let engines = named(&["disk:", "memory:"]).expect("both are there");
        assert_eq!(engines.iter().map(Engine::name).collect::<Vec<_>>(), ["disk", "memory"]);
        for (wrong, complaint) in
            [(&["sqlite:x"][..], "allowed: \"memory:\""), (&["disk:", "disk:"], "twice"), (&[], "found none")]
        {
            let error = named(wrong).expect_err("it is no list of engines");
            assert!(error.to_string().contains(complaint), "{error}");
        }
    }
}
