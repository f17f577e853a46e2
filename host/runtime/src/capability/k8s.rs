//! `starcell:guest/k8s`: objects of a cluster, the capabilities `k8s.read`, `k8s.write` and `k8s.config`.
//!
//! A call is decided by the kind and the namespace before anything is asked of a cluster, and its path is made of what
//! the permit holds. Only the operator's kubeconfig is read before that, for the namespace of calls that name none.
//!
//! - [`objects`]: one call
//! - [`aim`]: from what a script says to the objects it means
//! - [`pages`]: lists that come in parts
//! - [`reach`]: to the cluster, which is judged by its address if the script named it
//! - [`target`]: which cluster that is

mod aim;
mod objects;
mod pages;
mod reach;
mod target;

use http::Method;
use hyper::body::Bytes;
use serde::Serialize;
use starcell_policy::K8sFunction as Function;

use crate::Position;
use crate::bindings::starcell::guest::k8s::{
    Change, Deletion, Host, LogOptions, Manifest, PatchType, Place, Propagation, Selection, Settings, Target,
};
use crate::call_error::HostCallError;
use crate::gate::Effect;
use crate::k8s::exchange::ApiRequest;
use crate::k8s::route::with_query;
use crate::state::State;
use aim::Several;
use objects::Objects;
use pages::Pages;
use reach::Reached;

/// What a function of the host returns.
type Answer<T> = Result<T, HostCallError>;

impl Host for State {
    async fn get(&mut self, target: Target, place: Place, name: String, at: Position) -> Answer<Option<String>> {
        let call = self.objects(Function::Get, target, &at)?;
        call.within(call.get(&place, &name)).await
    }

    async fn list(&mut self, target: Target, place: Place, selection: Selection, at: Position) -> Answer<Vec<String>> {
        let call = self.objects(Function::List, target, &at)?;
        call.within(call.list(&place, &selection)).await
    }

    async fn create(&mut self, target: Target, manifest: Manifest, at: Position) -> Answer<String> {
        let call = self.objects(Function::Create, target, &at)?.dry(manifest.dry_run);
        call.within(call.create(manifest)).await
    }

    async fn apply(
        &mut self,
        target: Target,
        manifest: Manifest,
        manager: String,
        force: bool,
        at: Position,
    ) -> Answer<String> {
        let call = self.objects(Function::Apply, target, &at)?.dry(manifest.dry_run);
        call.within(call.apply(manifest, &manager, force)).await
    }

    async fn replace(&mut self, target: Target, manifest: Manifest, at: Position) -> Answer<String> {
        let call = self.objects(Function::Replace, target, &at)?.dry(manifest.dry_run);
        call.within(call.replace(manifest)).await
    }

    async fn patch(
        &mut self,
        target: Target,
        place: Place,
        name: String,
        change: Change,
        at: Position,
    ) -> Answer<String> {
        let call = self.objects(Function::Patch, target, &at)?.dry(change.dry_run);
        call.within(call.patch(&place, &name, change)).await
    }

    async fn delete(
        &mut self,
        target: Target,
        place: Place,
        name: String,
        deletion: Deletion,
        at: Position,
    ) -> Answer<bool> {
        let call = self.objects(Function::Delete, target, &at)?.dry(deletion.dry_run);
        call.within(call.delete(&place, &name, deletion)).await
    }

    async fn logs(
        &mut self,
        target: Target,
        namespace: Option<String>,
        pod: String,
        options: LogOptions,
        at: Position,
    ) -> Answer<Vec<u8>> {
        let call = self.objects(Function::Logs, target, &at)?;
        call.within(call.logs(namespace, &pod, &options)).await
    }

    async fn config(&mut self, target: Target, at: Position) -> Answer<Settings> {
        let call = self.objects(Function::Config, target, &at)?;
        call.within(call.settings()).await
    }
}

impl Objects<'_> {
    /// What the query of a change has if the cluster is only to say what it would do.
    fn dry_query(&self) -> &'static [(&'static str, &'static str)] {
        if self.dry_run { &[("dryRun", DRY_RUN)] } else { &[] }
    }

    async fn get(&self, place: &Place, name: &str) -> Result<Option<String>, HostCallError> {
        let aim = self.aim(place, Several::No).await?.named(self, name).await?;
        self.pass(aim, |reached: Reached<'_>| async move {
            let answer = reached.send(ApiRequest::get(reached.object()?)).await?;
            let found = reached.told(answer.found(reached.name()))?;
            let object = found.map(|body| reached.text(body)).transpose()?;
            let bytes = object.as_ref().map_or(0, String::len) as u64;
            Ok((object, bytes))
        })
        .await
    }

    async fn list(&self, place: &Place, selection: &Selection) -> Result<Vec<String>, HostCallError> {
        let aim = self.aim(place, Several::Yes).await?;
        self.pass(aim, |reached: Reached<'_>| async move {
            let mut pages = Pages::default();
            while pages.wants_more(selection) {
                let target = pages.target(&reached.collection()?, selection);
                let answer = reached.send_within(ApiRequest::get(target), pages.bytes).await?;
                let page = reached.text(reached.told(answer.body())?)?;
                reached.told(pages.add(page))?;
            }
            Ok((pages.texts, pages.bytes as u64))
        })
        .await
    }

    async fn create(&self, manifest: Manifest) -> Result<String, HostCallError> {
        let (aim, body) = self.aim_of(manifest).await?;
        self.pass(aim, |reached: Reached<'_>| async move {
            let target = with_query(&reached.collection()?, self.dry_query());
            reached.change(ApiRequest::with_body(Method::POST, target, "application/json", body)).await
        })
        .await
    }

    async fn apply(&self, manifest: Manifest, manager: &str, force: bool) -> Result<String, HostCallError> {
        let (aim, body) = self.aim_of(manifest).await?;
        if aim.name.is_none() {
            return Err(self.refused(&aim.subject(), "the object has no metadata.name, which apply needs").await);
        }
        self.pass(aim, |reached: Reached<'_>| async move {
            let force = if force { "true" } else { "false" };
            let mut query = vec![("fieldManager", manager), ("force", force)];
            query.extend(self.dry_query());
            let target = with_query(&reached.object()?, &query);
            // JSON is YAML, and this type is the only one that all clusters of today take.
            reached.change(ApiRequest::with_body(Method::PATCH, target, "application/apply-patch+yaml", body)).await
        })
        .await
    }

    async fn replace(&self, manifest: Manifest) -> Result<String, HostCallError> {
        let (aim, body) = self.aim_of(manifest).await?;
        if aim.name.is_none() {
            return Err(self.refused(&aim.subject(), "the object has no metadata.name, which replace needs").await);
        }
        self.pass(aim, |reached: Reached<'_>| async move {
            let target = with_query(&reached.object()?, self.dry_query());
            reached.change(ApiRequest::with_body(Method::PUT, target, "application/json", body)).await
        })
        .await
    }

    async fn patch(&self, place: &Place, name: &str, change: Change) -> Result<String, HostCallError> {
        let aim = self.aim(place, Several::No).await?.named(self, name).await?;
        let body = self.body(&aim.subject(), change.patch).await?;
        let content_type = match change.patch_type {
            PatchType::Json => "application/json-patch+json",
            PatchType::Merge => "application/merge-patch+json",
            PatchType::Strategic => "application/strategic-merge-patch+json",
        };
        self.pass(aim, |reached: Reached<'_>| async move {
            let target = with_query(&reached.object()?, self.dry_query());
            reached.change(ApiRequest::with_body(Method::PATCH, target, content_type, body)).await
        })
        .await
    }

    async fn delete(&self, place: &Place, name: &str, deletion: Deletion) -> Result<bool, HostCallError> {
        let aim = self.aim(place, Several::No).await?.named(self, name).await?;
        // Deleting a namespace is deleting what is in it, so it takes the permission for all of that too.
        let taken = match aim.taken_along() {
            Ok(taken) => taken,
            Err(error) => return Err(self.refused(&aim.subject(), error).await),
        };
        for object in taken {
            let nothing = |_permit| std::future::ready(Effect::Ok(((), 0)));
            self.gate(None).pass(self.at, Function::Delete, object, nothing).await?;
        }
        let body = Bytes::from(serde_json::json!(DeleteOptions::new(deletion)).to_string());
        self.pass(aim, |reached: Reached<'_>| async move {
            let request = ApiRequest::with_body(Method::DELETE, reached.object()?, "application/json", body);
            let answer = reached.send(request).await?;
            let found = reached.told(answer.found(reached.name()))?;
            Ok((found.is_some(), 0))
        })
        .await
    }

    async fn logs(&self, namespace: Option<String>, pod: &str, options: &LogOptions) -> Result<Vec<u8>, HostCallError> {
        let place = Place { kind: "pods".to_owned(), namespace };
        let aim = self.aim(&place, Several::No).await?.named(self, pod).await?;
        let (tail, since) = (options.tail.map(|lines| lines.to_string()), options.since.map(seconds));
        let since = since.map(|seconds| seconds.to_string());
        // One byte more than is taken tells a log that was cut off.
        let most = self.limit().saturating_add(1).to_string();
        let pairs = [
            ("container", options.container.as_deref()),
            ("tailLines", tail.as_deref()),
            ("sinceSeconds", since.as_deref()),
            ("previous", options.previous.then_some("true")),
            ("timestamps", options.timestamps.then_some("true")),
            ("limitBytes", Some(&*most)),
        ];
        let query: Vec<(&str, &str)> = pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        self.pass(aim, |reached: Reached<'_>| async move {
            let target = with_query(&format!("{}/log", reached.object()?), &query);
            let answer = reached.send(ApiRequest::get(target)).await?;
            let log = reached.told(answer.body())?;
            let bytes = log.len() as u64;
            Ok((log.into(), bytes))
        })
        .await
    }
}

/// The stages of a change that the cluster goes through without keeping what comes of it, as the API has it.
const DRY_RUN: &str = "All";

/// How to delete an object, as the API has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeleteOptions {
    api_version: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    propagation_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_period_seconds: Option<u64>,
    /// The server does not look at the query of a deletion that has a body.
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<[&'static str; 1]>,
}

impl DeleteOptions {
    fn new(Deletion { propagation, grace_period, dry_run }: Deletion) -> Self {
        let propagation_policy = propagation.map(|propagation| match propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        });
        let grace_period_seconds = grace_period.map(seconds);
        let dry_run = dry_run.then_some([DRY_RUN]);
        Self { api_version: "v1", kind: "DeleteOptions", propagation_policy, grace_period_seconds, dry_run }
    }
}

/// Whole seconds, rounded up.
fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(1_000_000_000)
}
