//! Empty: the manifest beside this file only names sources to fetch.
