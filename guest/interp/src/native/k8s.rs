//! A cluster that keeps what it was asked, and always says the same.

use std::cell::RefCell;

use crate::host::{
    Change, Cluster, ClusterSettings, Deletion, HostError, LogOptions, Manifest, Place, Position, Selection, Target,
};

/// A call of the script, with all that reached the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the arguments of the functions of the trait, by their names")]
pub enum Called {
    Get { place: Place, name: String },
    List { place: Place, selection: Selection },
    Create { manifest: Manifest },
    Apply { manifest: Manifest, manager: String, force: bool },
    Replace { manifest: Manifest },
    Patch { place: Place, name: String, change: Change },
    Delete { place: Place, name: String, deletion: Deletion },
    Logs { namespace: Option<String>, pod: String, options: LogOptions },
    Config,
}

/// A cluster that lives in memory.
#[derive(Debug)]
pub struct NativeCluster {
    /// What every call answers, when set.
    pub refuse: Option<HostError>,
    /// The object that calls answer with; with none there is nothing to get or to delete.
    pub object: Option<String>,
    /// The pages of every list.
    pub pages: Vec<String>,
    /// What every container wrote.
    pub log: Vec<u8>,
    calls: RefCell<Vec<(Target, Called)>>,
}

impl Default for NativeCluster {
    fn default() -> Self {
        let object = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","generation":12345678901234567890}}"#;
        let page = r#"{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"web"}}]}"#;
        Self {
            refuse: None,
            object: Some(object.to_owned()),
            pages: vec![page.to_owned()],
            log: b"one\ntwo\n".to_vec(),
            calls: RefCell::default(),
        }
    }
}

impl NativeCluster {
    /// The calls so far, with what they were sent to.
    pub fn calls(&self) -> Vec<(Target, Called)> {
        self.calls.borrow().clone()
    }

    fn called(&self, target: &Target, called: Called) -> Result<(), HostError> {
        self.refuse.clone().map_or(Ok(()), Err)?;
        self.calls.borrow_mut().push((target.clone(), called));
        Ok(())
    }

    fn answer(&self, target: &Target, called: Called) -> Result<String, HostError> {
        self.called(target, called)?;
        Ok(self.object.clone().unwrap_or_default())
    }
}

impl Cluster for NativeCluster {
    fn get(&self, target: &Target, place: &Place, name: &str, _at: &Position) -> Result<Option<String>, HostError> {
        self.called(target, Called::Get { place: place.clone(), name: name.to_owned() })?;
        Ok(self.object.clone())
    }

    fn list(
        &self,
        target: &Target,
        place: &Place,
        selection: &Selection,
        _at: &Position,
    ) -> Result<Vec<String>, HostError> {
        self.called(target, Called::List { place: place.clone(), selection: selection.clone() })?;
        Ok(self.pages.clone())
    }

    fn create(&self, target: &Target, manifest: &Manifest, _at: &Position) -> Result<String, HostError> {
        self.answer(target, Called::Create { manifest: manifest.clone() })
    }

    fn apply(
        &self,
        target: &Target,
        manifest: &Manifest,
        manager: &str,
        force: bool,
        _at: &Position,
    ) -> Result<String, HostError> {
        self.answer(target, Called::Apply { manifest: manifest.clone(), manager: manager.to_owned(), force })
    }

    fn replace(&self, target: &Target, manifest: &Manifest, _at: &Position) -> Result<String, HostError> {
        self.answer(target, Called::Replace { manifest: manifest.clone() })
    }

    fn patch(
        &self,
        target: &Target,
        place: &Place,
        name: &str,
        change: &Change,
        _at: &Position,
    ) -> Result<String, HostError> {
        let (place, name, change) = (place.clone(), name.to_owned(), change.clone());
        self.answer(target, Called::Patch { place, name, change })
    }

    fn delete(
        &self,
        target: &Target,
        place: &Place,
        name: &str,
        deletion: Deletion,
        _at: &Position,
    ) -> Result<bool, HostError> {
        self.called(target, Called::Delete { place: place.clone(), name: name.to_owned(), deletion })?;
        Ok(self.object.is_some())
    }

    fn logs(
        &self,
        target: &Target,
        namespace: Option<&str>,
        pod: &str,
        options: &LogOptions,
        _at: &Position,
    ) -> Result<Vec<u8>, HostError> {
        let (namespace, pod) = (namespace.map(str::to_owned), pod.to_owned());
        self.called(target, Called::Logs { namespace, pod, options: options.clone() })?;
        Ok(self.log.clone())
    }

    fn config(&self, target: &Target, _at: &Position) -> Result<ClusterSettings, HostError> {
        self.called(target, Called::Config)?;
        let context = target.context.clone().or_else(|| Some("test".to_owned()));
        let namespace = target.namespace.clone().unwrap_or_else(|| "default".to_owned());
        Ok(ClusterSettings { context, namespace })
    }
}
